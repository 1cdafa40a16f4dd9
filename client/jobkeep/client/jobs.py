"""One job, as a program that awaits sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from jobkeep.client import outcomes, requests
from jobkeep.client.channel import Channel
from jobkeep.client.following import EventFollower, LineFollower, LogFollower
from jobkeep.client.streaming import Paging, Streaming
from jobkeep.protocol.jobs import Event, ExplainReply, FailedItem, Job, LogChunk, StateReply, WaitReply
from jobkeep.protocol.vocabulary import ENDED_STATES, Stream

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration

_BEGIN_S = 0.1  # between looks at a job that is still to begin
_LOOK_AGAIN_S = 0.5  # between looks at a job that is waited for without a link


class JobHandle:
    """A job by its id. All methods raise NotFound when there is no such job, DaemonUnreachable without a daemon."""

    __slots__ = ("_channel", "id")

    def __init__(self, channel: Channel, id: str) -> None:
        self._channel = channel
        self.id: str = id

    def __repr__(self) -> str:
        return f"<JobHandle {self.id}>"

    async def info(self, *, output: bool = False) -> Job:
        """The job as it is now; with `output` also how much its latest run has written, and how much of it is still
        there. Raises NotFound, Ambiguous.
        """
        return (await self._channel.ask(requests.get(self.id, output))).job

    async def wait(self, timeout: Duration | None = None) -> Job:
        """The job once it has ended, however it did; it may take days, and outlives restarts of the daemon. Raises
        TimedOut, NotFound, Ambiguous.
        """
        return (await wait(self._channel, [self.id], False, timeout))[0]

    async def result(self, timeout: Duration | None = None) -> Any:
        """Wait, then return the function's value or the command's exit code, 0. Raises JobFailed, TimedOut, NotFound,
        Ambiguous.
        """
        job = outcomes.succeeded(await self.wait(timeout))
        if job.kind == "command":
            return outcomes.exit_code(job)
        return outcomes.value(await self._channel.ask(requests.result(self.id)))

    async def explain(self) -> ExplainReply:
        """Why it does not run or does not move, the most important reason first, and what may be done with it. Raises
        NotFound, Ambiguous.
        """
        return await self._channel.ask(requests.explain(self.id))

    async def cancel(self, *, force: bool = False, reason: str | None = None) -> StateReply:
        """Ask it to stop, then make it; `force` skips the asking. Raises ActionRefused, NotFound, Ambiguous."""
        return await self._channel.ask(requests.cancel(self.id, force, reason))

    async def resume(self, *, failed_items: bool = False, reason: str | None = None) -> StateReply:
        """Continue it from its checkpoint once it has failed or was cancelled; `failed_items`: only the items of its
        batches that failed. Raises ActionRefused, KeyConflict, NotFound, Ambiguous.
        """
        return await self._channel.ask(requests.resume(self.id, failed_items, reason))

    async def restart(self, *, from_start: bool = False, reason: str | None = None) -> StateReply:
        """End its run for sure, then continue it; `from_start` forgets the checkpoint. Raises ActionRefused, NotFound,
        Ambiguous.
        """
        return await self._channel.ask(requests.restart(self.id, from_start, reason))

    async def remove(self, *, reason: str | None = None) -> None:
        """Forget it, its output included, once it has ended. Raises ActionRefused, NotFound, Ambiguous."""
        await self._channel.ask(requests.remove(self.id, reason))

    def events(self, *, after: int | None = 0, follow: bool = True) -> AsyncIterator[Event]:
        """Its journal from its beginning, or after a seq; with `follow` until the job has ended. Raises NotFound,
        Ambiguous, EventsGone.
        """
        return Streaming(self._channel, EventFollower(after, follow, self.id), self._ends_with if follow else None)

    @overload
    def logs(
        self, *, follow: bool = ..., run: int | None = ..., stream: Stream | None = ..., lines: int | None = ...,
        raw: Literal[False] = ...,
    ) -> AsyncIterator[str]: ...  # fmt: skip

    @overload
    def logs(
        self, *, follow: bool = ..., run: int | None = ..., stream: Stream | None = ..., lines: int | None = ...,
        raw: Literal[True],
    ) -> AsyncIterator[LogChunk]: ...  # fmt: skip

    def logs(
        self,
        *,
        follow: bool = False,
        run: int | None = None,
        stream: Stream | None = None,
        lines: int | None = None,
        raw: bool = False,
    ) -> AsyncIterator[str] | AsyncIterator[LogChunk]:
        """Output of its latest run, or of `run`: lines of text, or with `raw` exact chunks.

        `lines` begins with that many last ones; `follow` waits for the first run and goes on until the
        run has ended. In the place of output that rotation has dropped there is a line that says so, with `raw` a
        chunk without data whose `dropped` is how many bytes. Raises NoRun.
        """
        chunks = LogFollower(self.id, run, stream, lines, follow)
        may_begin = self._may_begin if follow and run is None else None
        if raw:
            return Streaming(self._channel, chunks, None, may_begin)
        return Streaming(self._channel, LineFollower(chunks), None, may_begin)

    def failed_items(self) -> AsyncIterator[FailedItem]:
        """The items that failed, with their errors. Raises NotFound, Ambiguous."""
        after = 0

        async def next_page() -> list[FailedItem]:
            nonlocal after
            page = (await self._channel.ask(requests.failed_items(self.id, after))).items
            after += len(page)
            return page

        return Paging(next_page)

    async def history(self) -> list[Event]:
        """Its journal, oldest first. Raises NotFound, Ambiguous."""
        return (await self._channel.ask(requests.history(self.id))).entries

    async def _may_begin(self) -> bool:
        await self._channel.pause(_BEGIN_S)
        return outcomes.may_begin(await self.info())

    async def _ends_with(self, event: Event) -> bool:
        return event.kind in ENDED_STATES and outcomes.is_last(event, await self.info())


async def wait(channel: Channel, ids: list[str], any: bool, timeout: Duration | None) -> list[Job]:
    """Those of the jobs that have ended: all of them, or with `any` at least one. Raises TimedOut."""
    waiting = requests.Waiting(ids, any, timeout)
    found: list[Job] = []
    for part in waiting.parts:
        found += outcomes.ended(await _wait_for_part(channel, waiting, part), waiting.timeout_s)
    return found


async def _wait_for_part(channel: Channel, waiting: requests.Waiting, part: list[str]) -> WaitReply:
    """On a link of its own; when a program waits for hundreds of jobs at once, the others look now and then."""
    while channel.crowded:
        reply = await channel.ask(waiting.look(part))
        if not reply.timed_out or waiting.over():
            return reply
        await channel.pause(_LOOK_AGAIN_S)
    return await channel.ask_apart(partial(waiting.request, part))
