"""The daemon, as a program without event loop sees it: connect, then submit, look and act."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from jobkeep.blocking.channel import BlockingChannel
from jobkeep.blocking.jobs import BlockingJobHandle, wait
from jobkeep.client import requests, specs
from jobkeep.client.following import EventFollower
from jobkeep.client.specs import JobOptions
from jobkeep.protocol.admin import SqlReply, StatusReply
from jobkeep.protocol.jobs import Event, Job, SubmitReply
from jobkeep.protocol.vocabulary import JobState

if TYPE_CHECKING:
    from jobkeep.client.routes import Request
    from jobkeep.protocol.durations import Duration
    from jobkeep.protocol.service import Info


def connect_blocking(socket: str | None = None, *, autostart: bool | None = None) -> BlockingClient:
    """A client whose calls block; `with` closes it at the end. Threads may share it.

    `socket` is a path; by default $JOBKEEP_SOCKET, the user's daemon, the system's, or a daemon started now.
    `autostart` False starts none, None leaves that to $JOBKEEP_AUTOSTART.
    Raises DaemonUnreachable, or NoDaemon with a hint.
    """
    return BlockingClient(BlockingChannel(socket, autostart))


class BlockingSubmitter:
    """The part of a client that brings new jobs."""

    _channel: BlockingChannel

    def run(self, argv: Sequence[str], **options: Unpack[JobOptions]) -> BlockingJobHandle:
        """Submit a command; once this returns the job is durable.

        It gets this process's environment, umask and directory unless `cwd` names another. Raises InvalidRequest,
        KeyConflict, UnknownQueue, NotPermitted, StorageFull.
        """
        on_conflict, request_id = options.pop("on_conflict", None), options.pop("request_id", None)
        return self._submit(requests.submit(specs.command(argv, options), on_conflict, request_id))

    def call(
        self,
        function: str | Callable[..., Any],
        arguments: Mapping[str, Any] | None = None,
        **options: Unpack[JobOptions],
    ) -> BlockingJobHandle:
        """Submit a Python function, by `module:qualname` or itself, with keyword arguments that are JSON values."""
        on_conflict, request_id = options.pop("on_conflict", None), options.pop("request_id", None)
        return self._submit(requests.submit(specs.call(function, arguments, options), on_conflict, request_id))

    def submit_many(
        self, template: Mapping[str, Any], items: Iterable[Mapping[str, Any]], *, request_id: str | None = None
    ) -> list[BlockingJobHandle]:
        """Submit many jobs, each a template with some options of its own; options as in `run`, and `command`,
        `function`, `arguments`. Each message of up to 1000 jobs is accepted as a whole or not at all.

        After an error, the same `request_id` and items submit what is missing and return all.
        """
        handles: list[BlockingJobHandle] = []
        for request in requests.submit_many(template, items, request_id):
            reply = self._channel.ask(request)
            handles += [BlockingJobHandle(self._channel, id) for id in reply.ids]
        return handles

    def _submit(self, request: Request[SubmitReply]) -> BlockingJobHandle:
        return BlockingJobHandle(self._channel, self._channel.ask(request).id)


class BlockingClient(BlockingSubmitter):
    """A connection to one daemon. It outlives the daemon's restarts; threads may share it."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect. Jobs are not touched."""
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
        """Jobs, newest first; `since`: created or ended within that time; `limit`: how many at most."""
        pages = requests.Pages(state, queue, label, since, limit)
        while not pages.done:
            yield from pages.take(self._channel.ask(pages.request()))

    def wait(self, ids: Sequence[str], any: bool = False, timeout: Duration | None = None) -> list[Job]:
        """The jobs once all have ended, or with `any` those that have as soon as one has. Raises TimedOut."""
        return wait(self._channel, list(ids), any, timeout)

    def events(self, after: int | None = None, follow: bool = False) -> Iterator[Event]:
        """The journal after a seq: what there is, or with `follow` for ever (from now on unless `after` is given)."""
        return self._channel.follow(EventFollower(after, follow))

    def history(self, id: str) -> list[Event]:
        """A job's journal, oldest first."""
        return self.job(id).history()

    def sql(self, query: str) -> SqlReply:
        """A read-only query over the documented views, 5 s at most. Raises InvalidRequest."""
        return self._channel.ask(requests.sql(query))

    def status(self) -> StatusReply:
        """What the daemon is and does."""
        return self._channel.ask(requests.status())

    def info(self) -> Info:
        """Vendor, version and interfaces of the daemon."""
        return self._channel.ask(requests.info())

    def stop_daemon(self) -> int:
        """End the daemon and return its pid; jobs run on and are adopted by the next one."""
        return self._channel.ask(requests.stop()).pid
