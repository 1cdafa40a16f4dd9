"""The daemon, as a program without event loop sees it: connect, then submit, look and act."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from jobkeep.blocking.administration import BlockingAdministrator
from jobkeep.blocking.bulk import BlockingBulkActing
from jobkeep.blocking.channel import BlockingChannel
from jobkeep.blocking.jobs import BlockingJobHandle, wait
from jobkeep.blocking.locks import BlockingLocking
from jobkeep.blocking.queues import BlockingQueueing
from jobkeep.blocking.schedules import BlockingScheduling
from jobkeep.blocking.sessions import BlockingSessionOpening
from jobkeep.blocking.upkeep import BlockingUpkeep
from jobkeep.client import requests, specs
from jobkeep.client.following import EventFollower
from jobkeep.client.patience import BREAKS, RESTART_S, limit_s
from jobkeep.client.specs import JobOptions
from jobkeep.errors import JobkeepError
from jobkeep.protocol.jobs import Event, Job, JobSpec
from jobkeep.protocol.vocabulary import JobState, OnConflict

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration


def connect_blocking(
    socket: str | os.PathLike[str] | None = None,
    *,
    autostart: bool | None = None,
    patience: Duration | None = RESTART_S,
) -> BlockingClient:
    """A client whose calls block; `with` closes it at the end. Threads may share it.

    `socket` is a path; by default $JOBKEEP_SOCKET, the user's daemon, the system's, or a daemon started now.
    `autostart` False starts none, None leaves that to $JOBKEEP_AUTOSTART.
    `patience` is how long calls and streams wait for a daemon that is away, None for ever; a lock has its `ttl`.
    Raises InvalidRequest; DaemonUnreachable, or NoDaemon with a hint, at once.
    """
    path = None if socket is None else os.fspath(socket)
    return BlockingClient(BlockingChannel(path, autostart, restart_s=limit_s(patience)))


class BlockingSubmitter:
    """The part of a client that brings new jobs."""

    _channel: BlockingChannel

    def run(self, argv: Sequence[str], **options: Unpack[JobOptions]) -> BlockingJobHandle:
        """Submit a command, as a list of words; once this returns the job is durable.

        It gets this process's environment, umask and directory unless `env` or `cwd` say otherwise. `timeout`, `delay`
        and their like are seconds or `"90s"`, `"15m"`, `"2h"`. Raises InvalidRequest, UnknownQueue, NotFound (`after`),
        TooLarge, KeyConflict, LockHeld (`on_conflict`), RequestMismatch, StorageFull.
        """
        on_conflict, request_id = options.pop("on_conflict", None), options.pop("request_id", None)
        return self._submit(specs.command(argv, options), on_conflict, request_id)

    def call(
        self,
        function: str | Callable[..., Any],
        arguments: Mapping[str, Any] | None = None,
        **options: Unpack[JobOptions],
    ) -> BlockingJobHandle:
        """Submit a Python function, by `module:qualname` or itself, with keyword arguments that are JSON values of at
        most 256 KiB; the rest is as in `run`. Raises what `run` does.
        """
        on_conflict, request_id = options.pop("on_conflict", None), options.pop("request_id", None)
        return self._submit(specs.call(function, arguments, options), on_conflict, request_id)

    def submit_many(
        self, template: Mapping[str, Any], items: Iterable[Mapping[str, Any]], *, request_id: str | None = None
    ) -> list[BlockingJobHandle]:
        """Submit many jobs, each a template with some options of its own; options as in `run`, and `command`,
        `function`, `arguments`. Each message of up to 1000 jobs is accepted as a whole or not at all.

        After an error, its `request_id` and the same items submit what is missing and return all. Raises
        InvalidRequest, which names the item, UnknownQueue, NotFound (`after`), TooLarge, RequestMismatch, StorageFull.
        """
        handles: list[BlockingJobHandle] = []
        request_id = request_id or requests.new_id()
        for request in requests.submit_many(template, items, request_id):
            try:
                reply = self._channel.ask(request)
            except JobkeepError as error:
                raise requests.unresolved(error, request_id, len(handles)) from None
            handles += [BlockingJobHandle(self._channel, id) for id in reply.ids]
        return handles

    def _submit(self, spec: JobSpec, on_conflict: OnConflict | None, request_id: str | None) -> BlockingJobHandle:
        request_id = request_id or requests.new_id()
        try:
            reply = self._channel.ask(requests.submit(spec, on_conflict, request_id))
        except BREAKS as error:
            raise requests.unresolved(error, request_id) from None
        return BlockingJobHandle(self._channel, reply.id)


class BlockingClient(
    BlockingSubmitter, BlockingBulkActing, BlockingLocking, BlockingQueueing, BlockingScheduling,
    BlockingSessionOpening, BlockingAdministrator, BlockingUpkeep,
):
    """A connection to one daemon. It outlives the daemon's restarts; threads may share it, and a forked child goes on
    with connections of its own.

    What any call may raise: DaemonUnreachable where none answers for as long as the `patience` of connect (10 s);
    ConnectionLost where it may have taken effect and asking again could do more; ShuttingDown, OutcomeUnknown (the
    daemon's disk), NotPermitted, ProtocolError, DaemonError. Durations are seconds, or such as "90s", "15m", "2d".
    """

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect. Jobs are not touched. Calls afterwards raise DaemonUnreachable."""
        self._channel.close()

    def job(self, id: str) -> BlockingJobHandle:
        """A job by its id or a unique prefix; nothing is asked yet."""
        return BlockingJobHandle(self._channel, id)

    def jobs(
        self,
        *,
        state: Sequence[JobState] | JobState | None = None,
        queue: str | None = None,
        label: Mapping[str, str] | None = None,
        since: Duration | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Jobs, newest first; `since`: created or ended within that time; `limit`: how many at most. Raises
        InvalidRequest.
        """
        pages = requests.Pages(state, queue, label, since, limit)
        while not pages.done:
            yield from pages.take(self._channel.ask(pages.request()))

    def wait(self, ids: Sequence[str], any: bool = False, timeout: Duration | None = None) -> list[Job]:
        """The jobs once all have ended, or with `any` those that have as soon as one has. It may take days, and
        outlives restarts of the daemon. Raises TimedOut, whose `ended` has the ids of those that have; NotFound,
        InvalidRequest.
        """
        return wait(self._channel, list(ids), any, timeout)

    def events(self, after: int | None = None, follow: bool = False) -> Iterator[Event]:
        """The journal after a seq: what there is, or with `follow` for ever (from now on unless `after` is given).
        `seq` rises by one from event to event, also over restarts of the daemon. Raises EventsGone for what was pruned.
        """
        return self._channel.follow(EventFollower(after, follow))

    def history(self, id: str) -> list[Event]:
        """A job's journal, oldest first. Raises NotFound, Ambiguous."""
        return self.job(id).history()
