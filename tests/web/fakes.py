"""A daemon in memory, as the dashboard asks it: jobs that change when a test says so."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import msgspec

from client.fake_daemon import job as wire_job
from jobkeep.errors import ActionRefused, DaemonUnreachable, JobkeepError, NotFound
from jobkeep.protocol.admin import StatusReply
from jobkeep.protocol.jobs import (
    Event,
    ExplainReply,
    FailedItem,
    FailedItemsReply,
    Job,
    ListReply,
    LogChunk,
    MatchingReply,
    StateReply,
)  # fmt: skip
from jobkeep.protocol.queues import Queue
from jobkeep.web.connection import Connection
from jobkeep.web.model.filters import Filter
from jobkeep.web.model.log import Place

ALLOWED = {"allowed": True, "reason": None}
BY_STATE = {
    "scheduled": ("cancel", "rm"), "queued": ("cancel",), "running": ("cancel", "restart"), "cancelling": ("cancel",),
    "succeeded": ("rm",), "failed": ("resume", "rm"), "cancelled": ("resume", "rm"),
}  # fmt: skip
AWAY = DaemonUnreachable("/run/socket", "connection refused")


def job(id: str = "k3x9a0b1c2d3", state: str = "running", **fields: Any) -> Job:
    """A job as the client has it, with the actions of its state."""
    verbs = ("cancel", "resume", "resume_failed_items", "restart", "rm")
    actions = {
        verb: ALLOWED if verb in BY_STATE[state] else {"allowed": False, "reason": f"the job is {state}"}
        for verb in verbs
    }
    given = {"state": state, "name": "import-leads", "actions": actions, "started_at": "2026-03-01T12:00:00Z"}
    if state in ("succeeded", "failed", "cancelled"):
        given |= {"ended_at": "2026-03-01T12:02:00Z", "elapsed_s": 120.0}
    return msgspec.convert(wire_job(id, **given | fields), Job)


def event(seq: int, kind: str = "started", job: str | None = "k3x9a0b1c2d3", **fields: Any) -> Event:
    return msgspec.convert({"seq": seq, "at": "2026-03-01T12:00:00Z", "kind": kind, "job": job, **fields}, Event)


def chunk(data: bytes, offset: int = 0, stream: str = "stdout", run: int = 1, dropped: int = 0) -> LogChunk:
    return LogChunk(cast("Any", stream), run, offset, data, dropped)


@dataclass
class Handle:
    """A job's handle. A verb that its actions do not allow is refused."""

    daemon: FakeDaemon
    id: str

    async def info(self) -> Job:
        self.daemon.asked("info", self.id)
        found = [each for each in self.daemon.jobs.values() if each.id.startswith(self.id)]
        if len(found) != 1:
            raise NotFound(f"no job {self.id}", self.id)
        return found[0]

    async def explain(self) -> ExplainReply:
        found = await self.info()
        return ExplainReply(found.id, found.state, found.health, [], found.actions)

    async def history(self) -> list[Event]:
        self.daemon.asked("history", self.id)
        return self.daemon.history

    async def cancel(self, force: bool = False, reason: str | None = None) -> StateReply:
        return await self._act("cancel", "cancelled" if force else "cancelling")

    async def resume(self, failed_items: bool = False, reason: str | None = None) -> StateReply:
        return await self._act("resume_failed_items" if failed_items else "resume", "queued")

    async def restart(self, from_start: bool = False, reason: str | None = None) -> StateReply:
        return await self._act("restart", "queued")

    async def remove(self, reason: str | None = None) -> None:
        await self._act("rm", "succeeded")
        del self.daemon.jobs[self.id]

    def logs(self, **options: Any) -> AsyncIterator[LogChunk]:
        async def all() -> AsyncIterator[LogChunk]:
            for each in self.daemon.output_of:
                if options["stream"] in (None, each.stream):
                    yield each

        return all()

    async def _act(self, verb: str, state: str) -> StateReply:
        found = await self.info()
        action = getattr(found.actions, verb)
        if not action.allowed:
            raise ActionRefused(f"cannot {verb} job {found.id}: {action.reason}", found.id, verb, "it", found.state)
        self.daemon.asked(verb, self.id)
        self.daemon.put(job(found.id, state, name=found.name))
        return StateReply(found.id, cast("Any", state))


@dataclass
class FakeDaemon:
    """`away`: whatever is asked raises it. `calls` has what was asked, by name."""

    jobs: dict[str, Job] = field(default_factory=dict)
    history: list[Event] = field(default_factory=lambda: [event(1, "submitted"), event(2, "started", run=1)])
    items: list[FailedItem] = field(default_factory=list)
    output_of: list[LogChunk] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    away: JobkeepError | None = None
    seq: int = 2

    def __post_init__(self) -> None:
        self._feeds: list[Any] = []

    @property
    def followers(self) -> int:
        return len(self._feeds)

    def asked(self, name: str, about: Any = None) -> None:
        if self.away is not None:
            raise self.away
        self.calls.append((name, about))

    def count(self, name: str) -> int:
        return sum(each == name for each, _ in self.calls)

    def put(self, *jobs: Job) -> None:
        """They are so from now on, and whoever follows the events hears of it."""
        for each in jobs:
            self.jobs[each.id] = each
            self.tell(each.state, each.id)

    def tell(self, kind: str, job: str | None = None) -> None:
        self.seq += 1
        for feed in self._feeds:
            feed.send_nowait(event(self.seq, kind, job))

    def leave(self) -> None:
        """The daemon is gone, and all streams with it."""
        self.away = AWAY
        for feed in self._feeds:
            feed.send_nowait(None)

    def events(self, after: int | None = None, follow: bool = False) -> AsyncIterator[Event]:
        async def stream() -> AsyncIterator[Event]:
            self.asked("events")
            send, receive = anyio.create_memory_object_stream[Any](math.inf)
            self._feeds.append(send)
            with send, receive:
                try:
                    async for each in receive:
                        if each is None:
                            raise AWAY
                        yield each
                finally:
                    self._feeds.remove(send)

        return stream()

    def job(self, id: str) -> Handle:
        return Handle(self, id)

    async def status(self) -> StatusReply:
        self.asked("status")
        counts: dict[str, int] = {}
        for each in self.jobs.values():
            counts[each.state] = counts.get(each.state, 0) + 1
        return StatusReply(
            version="1", pid=7, uptime_s=3600.0, protocol=1, jobs=counts, queues={}, locks=0, sessions=0,
            sqlite_version="3.51.3", rss_bytes=40 << 20, socket="/run/socket", state_dir="/state",
            runtime_dir="/run", database_epoch="e", epoch=1,
        )  # fmt: skip

    async def queues(self) -> list[Queue]:
        self.asked("queues")
        more: dict[str, Any] = {"configured": 2, "running": 1, "queued": 0, "scheduled": 0, "paused": None}
        return [Queue(name="default", limit=2, limited=None, **more)]

    async def listed(self, filter: Filter, limit: int, states: tuple[str, ...] | None = None) -> ListReply:
        self.asked("listed", (filter, states))
        wanted = states or filter.states
        found = [
            each for each in reversed(self.jobs.values())
            if (wanted is None or each.state in wanted)
            and (not filter.queue or each.queue == filter.queue)
            and filter.labels.items() <= each.labels.items()
        ]  # fmt: skip
        begin = filter.before or 0
        more = begin + limit < len(found)
        return ListReply(found[begin : begin + limit], begin + limit if more else None)

    async def failed_page(self, id: str, after: int, limit: int) -> FailedItemsReply:
        self.asked("failed_page", (after, limit))
        return FailedItemsReply(self.items[after : after + limit], len(self.items))

    async def last_lines(self, id: str, run: int, stream: str | None, lines: int) -> list[LogChunk]:
        self.asked("last_lines", (run, stream))
        return [each for each in self.output_of if stream in (None, each.stream) and each.run == run]

    async def output(self, id: str, at: Place, stream: str | None) -> list[LogChunk]:
        self.asked("output", at)
        found = []
        for each in self.output_of:
            skipped = max(0, at.of(each.stream) - each.offset)
            if each.run == at.run and skipped < len(each.data):
                found.append(chunk(each.data[skipped:], each.offset + skipped, each.stream, each.run))
        return found


def matching(daemon: FakeDaemon, verb: str, state: str) -> Callable[..., Any]:
    """The verb for all that match, as the client has it."""

    async def sweep(*, dry_run: bool = False, reason: str | None = None, **conditions: Any) -> MatchingReply:
        daemon.asked(f"{verb}_matching", (dry_run, conditions))
        states = conditions.get("state")
        found = [each for each in daemon.jobs.values() if states is None or each.state in states]
        fit = [each for each in found if getattr(each.actions, verb).allowed]
        if not dry_run:
            daemon.put(*(job(each.id, state) for each in fit))
        return MatchingReply([each.id for each in fit], {state: len(fit)}, [])

    return sweep


def as_connection(daemon: FakeDaemon) -> Connection:
    return cast("Connection", daemon)
