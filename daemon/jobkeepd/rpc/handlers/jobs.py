"""Looking at jobs and acting on them."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Final

from msgspec import Raw, structs

from jobkeep.protocol import faults
from jobkeep.protocol import jobs as wire
from jobkeep.protocol.sizes import ROOM_NEEDED
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.authz import Role
from jobkeepd.core.model import NULL, Job, Peer
from jobkeepd.errors import UnknownJob
from jobkeepd.rpc.faults import Refusal, too_large
from jobkeepd.rpc.frames import encode, joined, listed
from jobkeepd.rpc.handlers.logs import sizes
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.shown import Look, ShownJobs
from jobkeepd.rpc.views import event_view
from jobkeepd.store.base import JobFilter

PAGE_SIZE: Final = 512 << 10  # bytes after which a page ends early: specs can be large
AT_ONCE: Final = 32  # jobs that are read together, for the same reason; more where those before were small
MOST_AT_ONCE: Final = 256
_FULL: Final = (
    f"the disk of the state directory is full: no job is taken or started until {ROOM_NEEDED >> 20} MiB are free"
)
WAIT_SIZE: Final = 32 << 20  # bytes of one Wait's reply: it cannot be cut


class Reading:
    """The calls that show jobs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store
        self._shown = ShownJobs(services)

    def get(
        self, asked: wire.GetParameters, peer: Peer, *, role: Role
    ) -> Raw | Coroutine[Any, Any, Raw | wire.JobReply]:
        """At once for a job that is in memory, without a task."""
        look = self._shown.look(peer, role)
        if asked.output:
            return self._with_output(asked.id, look)
        job = self._store.cached(asked.id)
        if job is not None:
            reply = self._shown.reply(job, look)
            if reply is not None:
                return reply
        return self._read(asked.id, look)

    async def _read(self, id: str, look: Look) -> Raw | wire.JobReply:
        job = await self._store.get(id)
        return self._shown.reply(job, look) or wire.JobReply(await self._shown.read(job, look))

    async def _with_output(self, id: str, look: Look) -> wire.JobReply:
        job = await self._store.get(id)
        view = await self._shown.read(job, look)
        output = [] if job.run is None else sizes(self._services, job.id, job.run.number)
        return wire.JobReply(structs.replace(view, output=output))

    async def list(self, asked: wire.ListParameters, peer: Peer, *, role: Role) -> bytes:
        """The frame of a ListReply, put together from jobs that are encoded one by one: most of them were so before."""
        shown: list[bytes] = []
        size, before = 0, asked.before
        where, look = self._filter(asked), self._shown.look(peer, role)
        while True:
            page = await self._store.list(where)
            for job in page:
                if len(shown) == asked.limit or size > PAGE_SIZE:
                    return self._list_reply(shown, before)
                try:
                    encoded = self._shown.encoded(job, look) or encode(await self._shown.read(job, look))
                except UnknownJob:  # it was removed since the page was read
                    continue
                size += len(encoded)
                shown.append(encoded)
                before = job.seq
            if len(page) < where.limit:
                return self._list_reply(shown, None)
            where = structs.replace(where, before=page[-1].seq, limit=_next_limit(asked.limit, len(shown), size))

    def _list_reply(self, jobs: Sequence[bytes], next: int | None) -> bytes:
        notice = b',"notice":%b' % encode(_FULL) if self._store.is_full else b""
        return joined((b'{"jobs":[', *listed(jobs), b'],"next":%b%b}' % (encode(next), notice)))

    def _filter(self, asked: wire.ListParameters) -> JobFilter:
        return JobFilter(
            states=None if asked.state is None else tuple(asked.state),
            queue=asked.queue,
            labels=tuple((asked.label or {}).items()),
            since=None if asked.since_s is None else self._services.clock.now() - asked.since_s,
            before=asked.before,
            limit=min(AT_ONCE, asked.limit + 1),
        )

    async def wait(self, asked: wire.WaitParameters, peer: Peer, *, role: Role) -> wire.WaitReply:
        ids = list(dict.fromkeys([job.id for job in await self._store.get_all(asked.ids)]))
        ended = {job.id: job for job in await self._services.jobs.wait(ids, asked.any, asked.timeout_s)}
        look = self._shown.look(peer, role)
        shown = [await self._shown.read(ended[id], look) for id in ids if id in ended]
        if (size := sum(len(encode(view.spec)) for view in shown)) > WAIT_SIZE:
            raise too_large("ids", size, WAIT_SIZE)
        complete = bool(shown) if asked.any else len(shown) == len(ids)
        return wire.WaitReply(shown, timed_out=not complete)

    async def result(self, asked: wire.JobParameters, peer: Peer) -> wire.ResultReply:
        job = await self._store.get(asked.id)
        if job.state != "succeeded":
            how = f"is {job.state}" if job.state not in ENDED_STATES else f"ended as {job.state}"
            raise Refusal(faults.NoResult(f"job {job.id} {how}: it has no result", job.id, job.state))
        found = await self._store.result(job.id)
        return wire.ResultReply(NULL if found is None else found)

    async def history(self, asked: wire.HistoryParameters, peer: Peer) -> wire.HistoryReply:
        job = await self._store.get(asked.id)
        return wire.HistoryReply([event_view(entry) for entry in await self._store.history(job.id)])

    async def failed_items(self, asked: wire.FailedItemsParameters, peer: Peer) -> wire.FailedItemsReply:
        job = await self._store.get(asked.id)
        items = await self._store.failed_items(job.id, asked.after, asked.limit)
        return wire.FailedItemsReply(_fitting(items), job.progress.failed_items)


def _next_limit(wanted: int, count: int, size: int) -> int:
    """How many jobs to read next: as many as are likely to fit, by what those before have taken."""
    likely = min((PAGE_SIZE - size) * count // max(size, 1), MOST_AT_ONCE)
    return min(max(AT_ONCE, likely), wanted + 1 - count)


def _fitting(items: Sequence[wire.FailedItem]) -> list[wire.FailedItem]:
    """As many as a page holds, at least one."""
    size = 0
    for count, item in enumerate(items):
        if size > PAGE_SIZE:
            return list(items[:count])
        size += len(encode(item))
    return list(items)


async def cancel(services: Services, asked: wire.CancelParameters, peer: Peer) -> wire.StateReply:
    return _state(await services.jobs.cancel(asked.id, peer, force=asked.force, reason=asked.reason))


async def resume(services: Services, asked: wire.ResumeParameters, peer: Peer) -> wire.StateReply:
    job = await services.jobs.resume(asked.id, peer, failed_items=asked.failed_items, reason=asked.reason)
    return _state(job)


async def restart(services: Services, asked: wire.RestartParameters, peer: Peer) -> wire.StateReply:
    return _state(await services.jobs.restart(asked.id, peer, from_start=asked.from_start, reason=asked.reason))


async def remove(services: Services, asked: wire.RemoveParameters, peer: Peer) -> wire.RemoveReply:
    return wire.RemoveReply(await services.jobs.remove(asked.id, peer, reason=asked.reason))


def _state(job: Job) -> wire.StateReply:
    return wire.StateReply(job.id, job.state)
