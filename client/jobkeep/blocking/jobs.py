"""One job, as a program without event loop sees it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, Any, Literal, overload

from jobkeep.blocking.channel import BlockingChannel
from jobkeep.client import outcomes, requests
from jobkeep.client.following import EventFollower, LineFollower, LogFollower
from jobkeep.protocol.jobs import Event, ExplainReply, FailedItem, Job, LogChunk, StateReply
from jobkeep.protocol.vocabulary import ENDED_STATES, Stream

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration

_BEGIN_S = 0.1  # between looks at a job that is still to begin


class BlockingJobHandle:
    """A job by its id. All methods raise NotFound when there is no such job, DaemonUnreachable without a daemon."""

    __slots__ = ("_channel", "id")

    def __init__(self, channel: BlockingChannel, id: str) -> None:
        self._channel = channel
        self.id: str = id

    def __repr__(self) -> str:
        return f"<BlockingJobHandle {self.id}>"

    def info(self, *, output: bool = False) -> Job:
        """The job as it is now; with `output` also how much its latest run has written, and how much of it is still
        there. Raises NotFound, Ambiguous.
        """
        return self._channel.ask(requests.get(self.id, output)).job

    def wait(self, timeout: Duration | None = None) -> Job:
        """The job once it has ended, however it did; it may take days, and outlives restarts of the daemon. Raises
        TimedOut, NotFound, Ambiguous.
        """
        return wait(self._channel, [self.id], False, timeout)[0]

    def result(self, timeout: Duration | None = None) -> Any:
        """Wait, then return the function's value or the command's exit code, 0. Raises JobFailed, TimedOut, NotFound,
        Ambiguous.
        """
        job = outcomes.succeeded(self.wait(timeout))
        if job.kind == "command":
            return outcomes.exit_code(job)
        return outcomes.value(self._channel.ask(requests.result(self.id)))

    def explain(self) -> ExplainReply:
        """Why it does not run or does not move, the most important reason first, and what may be done with it. Raises
        NotFound, Ambiguous.
        """
        return self._channel.ask(requests.explain(self.id))

    def cancel(self, *, force: bool = False, reason: str | None = None) -> StateReply:
        """Ask it to stop, then make it; `force` skips the asking. Raises ActionRefused, NotFound, Ambiguous."""
        return self._channel.ask(requests.cancel(self.id, force, reason))

    def resume(self, *, failed_items: bool = False, reason: str | None = None) -> StateReply:
        """Continue it from its checkpoint once it has failed or was cancelled; `failed_items`: only the items of its
        batches that failed. Raises ActionRefused, KeyConflict, NotFound, Ambiguous.
        """
        return self._channel.ask(requests.resume(self.id, failed_items, reason))

    def restart(self, *, from_start: bool = False, reason: str | None = None) -> StateReply:
        """End its run for sure, then continue it; `from_start` forgets the checkpoint. Raises ActionRefused, NotFound,
        Ambiguous.
        """
        return self._channel.ask(requests.restart(self.id, from_start, reason))

    def remove(self, *, reason: str | None = None) -> None:
        """Forget it, its output included, once it has ended. Raises ActionRefused, NotFound, Ambiguous."""
        self._channel.ask(requests.remove(self.id, reason))

    def events(self, *, after: int | None = 0, follow: bool = True) -> Iterator[Event]:
        """Its journal from its beginning, or after a seq; with `follow` until the job has ended. Raises NotFound,
        Ambiguous, EventsGone.
        """
        for event in self._channel.follow(EventFollower(after, follow, self.id)):
            yield event
            if follow and event.kind in ENDED_STATES and outcomes.is_last(event, self.info()):
                return

    @overload
    def logs(
        self, *, follow: bool = ..., run: int | None = ..., stream: Stream | None = ..., lines: int | None = ...,
        raw: Literal[False] = ...,
    ) -> Iterator[str]: ...  # fmt: skip

    @overload
    def logs(
        self, *, follow: bool = ..., run: int | None = ..., stream: Stream | None = ..., lines: int | None = ...,
        raw: Literal[True],
    ) -> Iterator[LogChunk]: ...  # fmt: skip

    def logs(
        self,
        *,
        follow: bool = False,
        run: int | None = None,
        stream: Stream | None = None,
        lines: int | None = None,
        raw: bool = False,
    ) -> Iterator[str] | Iterator[LogChunk]:
        """Output of its latest run, or of `run`: lines of text, or with `raw` exact chunks.

        `lines` begins with that many last ones; `follow` waits for the first run and goes on until the
        run has ended. In the place of output that rotation has dropped there is a line that says so, with `raw` a
        chunk without data whose `dropped` is how many bytes. Raises NoRun.
        """
        chunks = LogFollower(self.id, run, stream, lines, follow)
        may_begin = self._may_begin if follow and run is None else None
        if raw:
            return self._channel.follow(chunks, may_begin)
        return self._channel.follow(LineFollower(chunks), may_begin)

    def failed_items(self) -> Iterator[FailedItem]:
        """The items that failed, with their errors. Raises NotFound, Ambiguous."""
        after = 0
        while page := self._channel.ask(requests.failed_items(self.id, after)).items:
            yield from page
            after += len(page)

    def history(self) -> list[Event]:
        """Its journal, oldest first. Raises NotFound, Ambiguous."""
        return self._channel.ask(requests.history(self.id)).entries

    def _may_begin(self) -> bool:
        sleep(_BEGIN_S)
        return outcomes.may_begin(self.info())


def wait(channel: BlockingChannel, ids: list[str], any: bool, timeout: Duration | None) -> list[Job]:
    """Those of the jobs that have ended: all of them, or with `any` at least one. Raises TimedOut."""
    waiting = requests.Waiting(ids, any, timeout)
    found: list[Job] = []
    for part in waiting.parts:
        reply = channel.ask_apart(partial(waiting.request, part))
        found += outcomes.ended(reply, waiting.timeout_s)
    return found
