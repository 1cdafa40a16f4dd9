"""Looking at jobs and acting on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Final

from msgspec import Raw, structs

from jobkeep.protocol import faults
from jobkeep.protocol import jobs as wire
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.model import NULL, Job, Peer
from jobkeepd.rpc.faults import Refusal, too_large
from jobkeepd.rpc.frames import encode
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.shown import ShownJobs
from jobkeepd.rpc.views import event_view
from jobkeepd.store.base import JobFilter

PAGE_SIZE: Final = 2 << 20  # bytes after which a page ends early: specs can be large
AT_ONCE: Final = 32  # jobs that are read together, for the same reason
WAIT_SIZE: Final = 32 << 20  # bytes of one Wait's reply: it cannot be cut


class Reading:
    """The calls that show jobs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store
        self._shown = ShownJobs(services)

    def get(self, asked: wire.JobParameters, peer: Peer) -> Raw | Coroutine[Any, Any, Raw | wire.JobReply]:
        """At once for a job that is in memory, without a task."""
        job = self._store.cached(asked.id)
        if job is not None:
            reply = self._shown.reply(job)
            if reply is not None:
                return reply
        return self._read(asked.id)

    async def _read(self, id: str) -> Raw | wire.JobReply:
        job = await self._store.get(id)
        return self._shown.reply(job) or wire.JobReply(await self._shown.view(job))

    async def list(self, asked: wire.ListParameters, peer: Peer) -> wire.ListReply:
        shown: list[wire.Job] = []
        size = before = 0
        async for job in self._matching(asked):
            if len(shown) == asked.limit or size > PAGE_SIZE:
                return wire.ListReply(shown, next=before)
            view = await self._shown.view(job)
            size += len(encode(view.spec))
            shown.append(view)
            before = job.seq
        return wire.ListReply(shown)

    async def _matching(self, asked: wire.ListParameters) -> AsyncIterator[Job]:
        now = self._services.clock.now()
        where = JobFilter(
            states=None if asked.state is None else tuple(asked.state),
            queue=asked.queue,
            labels=tuple((asked.label or {}).items()),
            since=None if asked.since_s is None else now - asked.since_s,
            before=asked.before,
            limit=min(AT_ONCE, asked.limit + 1),
        )
        while page := await self._store.list(where):
            for job in page:
                yield job
            if len(page) < where.limit:
                return
            where = structs.replace(where, before=page[-1].seq)

    async def wait(self, asked: wire.WaitParameters, peer: Peer) -> wire.WaitReply:
        ids = list(dict.fromkeys([job.id for job in await self._store.get_all(asked.ids)]))
        ended = {job.id: job for job in await self._services.jobs.wait(ids, asked.any, asked.timeout_s)}
        shown = [await self._shown.view(ended[id]) for id in ids if id in ended]
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


def _state(job: Job) -> wire.StateReply:
    return wire.StateReply(job.id, job.state)
