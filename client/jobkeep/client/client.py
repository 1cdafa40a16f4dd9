"""The daemon, as a program that awaits sees it: connect, then submit, look and act."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from jobkeep.client import requests, specs
from jobkeep.client.administration import Administrator
from jobkeep.client.bulk import BulkActing
from jobkeep.client.channel import Channel
from jobkeep.client.following import EventFollower
from jobkeep.client.jobs import JobHandle, wait
from jobkeep.client.locks import Locking
from jobkeep.client.patience import BREAKS, RESTART_S, limit_s
from jobkeep.client.queues import Queueing
from jobkeep.client.schedules import Scheduling
from jobkeep.client.sessions import SessionOpening
from jobkeep.client.specs import JobOptions
from jobkeep.client.streaming import Paging, Streaming
from jobkeep.client.upkeep import Upkeep
from jobkeep.errors import JobkeepError
from jobkeep.protocol.jobs import Event, Job, JobSpec
from jobkeep.protocol.vocabulary import JobState, OnConflict

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration


def connect(
    socket: str | os.PathLike[str] | None = None,
    *,
    autostart: bool | None = None,
    patience: Duration | None = RESTART_S,
) -> Client:
    """A client to be used in `async with`, on asyncio and on trio.

    `socket` is a path; by default $JOBKEEP_SOCKET, the user's daemon, the system's, or a daemon started now.
    `autostart` False starts none, None leaves that to $JOBKEEP_AUTOSTART.
    `patience` is how long calls and streams wait for a daemon that is away, None for ever; a lock has its `ttl`.
    Raises InvalidRequest; entering raises DaemonUnreachable, or NoDaemon with a hint, at once.
    """
    path = None if socket is None else os.fspath(socket)
    return Client(Channel(path, autostart, restart_s=limit_s(patience)))


class Submitter:
    """The part of a client that brings new jobs."""

    _channel: Channel

    async def run(self, argv: Sequence[str], **options: Unpack[JobOptions]) -> JobHandle:
        """Submit a command, as a list of words; once this returns the job is durable.

        It gets this process's environment, umask and directory unless `env` or `cwd` say otherwise. `timeout`, `delay`
        and their like are seconds or `"90s"`, `"15m"`, `"2h"`. Raises InvalidRequest, UnknownQueue, NotFound (`after`),
        TooLarge, KeyConflict, LockHeld (`on_conflict`), RequestMismatch, StorageFull.
        """
        on_conflict, request_id = options.pop("on_conflict", None), options.pop("request_id", None)
        return await self._submit(specs.command(argv, options), on_conflict, request_id)

    async def call(
        self,
        function: str | Callable[..., Any],
        arguments: Mapping[str, Any] | None = None,
        **options: Unpack[JobOptions],
    ) -> JobHandle:
        """Submit a Python function, by `module:qualname` or itself, with keyword arguments that are JSON values of at
        most 256 KiB; the rest is as in `run`. Raises what `run` does.
        """
        on_conflict, request_id = options.pop("on_conflict", None), options.pop("request_id", None)
        return await self._submit(specs.call(function, arguments, options), on_conflict, request_id)

    async def submit_many(
        self, template: Mapping[str, Any], items: Iterable[Mapping[str, Any]], *, request_id: str | None = None
    ) -> list[JobHandle]:
        """Submit many jobs, each a template with some options of its own; options as in `run`, and `command`,
        `function`, `arguments`. Each message of up to 1000 jobs is accepted as a whole or not at all.

        After an error, its `request_id` and the same items submit what is missing and return all. Raises
        InvalidRequest, which names the item, UnknownQueue, NotFound (`after`), TooLarge, RequestMismatch, StorageFull.
        """
        handles: list[JobHandle] = []
        request_id = request_id or requests.new_id()
        for request in requests.submit_many(template, items, request_id):
            try:
                reply = await self._channel.ask(request)
            except JobkeepError as error:
                raise requests.unresolved(error, request_id, len(handles)) from None
            handles += [JobHandle(self._channel, id) for id in reply.ids]
        return handles

    async def _submit(self, spec: JobSpec, on_conflict: OnConflict | None, request_id: str | None) -> JobHandle:
        request_id = request_id or requests.new_id()
        try:
            reply = await self._channel.ask(requests.submit(spec, on_conflict, request_id))
        except BREAKS as error:
            raise requests.unresolved(error, request_id) from None
        return JobHandle(self._channel, reply.id)


class Client(Submitter, BulkActing, Locking, Queueing, Scheduling, SessionOpening, Administrator, Upkeep):
    """A connection to one daemon. It outlives the daemon's restarts; calls may overlap, and be cancelled at any time.

    What any call may raise: DaemonUnreachable where none answers for as long as the `patience` of connect (10 s);
    ConnectionLost where it may have taken effect and asking again could do more; ShuttingDown, OutcomeUnknown (the
    daemon's disk), NotPermitted, ProtocolError, DaemonError. Durations are seconds, or such as "90s", "15m", "2d".
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def __aenter__(self) -> Self:
        await self._channel.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect. Jobs are not touched. Calls afterwards raise DaemonUnreachable."""
        self._channel.close()

    def job(self, id: str) -> JobHandle:
        """A job by its id or a unique prefix; nothing is asked yet."""
        return JobHandle(self._channel, id)

    def jobs(
        self,
        *,
        state: Sequence[JobState] | JobState | None = None,
        queue: str | None = None,
        label: Mapping[str, str] | None = None,
        since: Duration | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        """Jobs, newest first; `since`: created or ended within that time; `limit`: how many at most. Raises
        InvalidRequest.
        """
        pages = requests.Pages(state, queue, label, since, limit)

        async def next_page() -> list[Job]:
            return [] if pages.done else pages.take(await self._channel.ask(pages.request()))

        return Paging(next_page)

    async def wait(self, ids: Sequence[str], any: bool = False, timeout: Duration | None = None) -> list[Job]:
        """The jobs once all have ended, or with `any` those that have as soon as one has. It may take days, and
        outlives restarts of the daemon. Raises TimedOut, whose `ended` has the ids of those that have; NotFound,
        InvalidRequest.
        """
        return await wait(self._channel, list(ids), any, timeout)

    def events(self, after: int | None = None, follow: bool = False) -> AsyncIterator[Event]:
        """The journal after a seq: what there is, or with `follow` for ever (from now on unless `after` is given).
        `seq` rises by one from event to event, also over restarts of the daemon. Raises EventsGone for what was pruned.
        """
        return Streaming(self._channel, EventFollower(after, follow))

    async def history(self, id: str) -> list[Event]:
        """A job's journal, oldest first. Raises NotFound, Ambiguous."""
        return await self.job(id).history()
