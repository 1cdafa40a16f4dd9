"""What is wrong with a job, and with all of them: Explain and Recover."""

from __future__ import annotations

from jobkeep.protocol import admin
from jobkeep.protocol import jobs as wire
from jobkeepd.core.authz import Role
from jobkeepd.core.dependencies import has_parents
from jobkeepd.core.explain import Facts, Parents, explain
from jobkeepd.core.model import Job, Peer
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.shown import ShownJobs
from jobkeepd.rpc.views import recovery_row


async def recover(services: Services, asked: admin.RecoverParameters, peer: Peer) -> admin.RecoverReply:
    rows = await services.recovery.recover_once(
        check=asked.check, older_than=asked.older_than_s, then=asked.then, by=peer
    )
    return admin.RecoverReply([recovery_row(row) for row in rows], asked.check)


async def explain_job(services: Services, asked: wire.JobParameters, peer: Peer, *, role: Role) -> wire.ExplainReply:
    job = await services.store.get(asked.id)
    shown = ShownJobs(services)
    view = await shown.read(job, shown.look(peer, role))
    reasons = explain(job, await _facts(services, job, view))
    told = [wire.Reason(reason.kind, reason.text, reason.name) for reason in reasons]
    return wire.ExplainReply(job.id, job.state, view.health, told, view.actions)


async def _parents(services: Services, job: Job) -> tuple[int, tuple[Job, ...]]:
    if job.state != "queued" or not has_parents(job.spec):
        return 0, ()
    count, some = await services.store.open_parents(job.id, 5)
    return count, tuple(some)


async def _facts(services: Services, job: Job, view: wire.Job) -> Facts:
    store, spec = services.store, job.spec
    counts = await store.counts()
    queue = services.queues.get(spec.queue)
    open_run = job.run is not None and job.run.state != "ended"
    return Facts(
        now=services.clock.now(),
        limit=None if queue is None or queue.configured is None else queue.limit,
        control=None if queue is None else queue.control,
        running=counts.get((spec.queue, "running"), 0) + counts.get((spec.queue, "cancelling"), 0),
        ahead=await store.ahead(job) if job.state == "queued" and not open_run else 0,
        draining_since=services.drains.since,
        lock=None if spec.lock is None else await store.lock(spec.lock),
        parents=Parents(*await _parents(services, job)),
        label_limit=services.queues.limit_of(job),
        rival=None if spec.key is None or job.blocked != "key" else await store.holder(spec.key),
        health=view.health,
        health_reason=view.health_reason,
        heartbeat_age=view.heartbeat_age_s,
        finding=services.recovery.look(job).finding if open_run else None,
    )
