"""org.jobkeep.Admin.Metrics: what was counted since the daemon's start, and what is so at this moment."""

from __future__ import annotations

from typing import Final

from jobkeep.protocol import metrics as wire
from jobkeep.protocol.interface import Nothing
from jobkeepd.core.metrics import COMMIT_SECONDS, Family, gauge, of_histogram
from jobkeepd.core.model import Peer
from jobkeepd.rpc.services import Services

PREFIX: Final = "jobkeep_"
INFO: Final = Family("daemon_start_time_seconds", "gauge", "When the daemon was started.", ("version",))
MEMORY: Final = Family("daemon_resident_bytes", "gauge", "Memory of the daemon's process.")
JOBS: Final = Family("jobs", "gauge", "Jobs on record.", ("queue", "state"))
LIMIT: Final = Family("queue_limit", "gauge", "How many jobs of the queue may run at once.", ("queue",))
PAUSED: Final = Family("queue_paused", "gauge", "1 where nothing of the queue is started.", ("queue",))
NEXT: Final = Family("queue_next_age_seconds", "gauge", "Since when the job that is next was submitted.", ("queue",))
LOCKS: Final = Family("locks_held", "gauge", "Locks that are held.")
DRAINING: Final = Family("draining", "gauge", "1 while the daemon starts nothing.")


async def metrics(services: Services, asked: Nothing, peer: Peer) -> wire.MetricsReply:
    host, now = services.host.status(), services.clock.now()
    counts = await services.store.counts()
    queues = services.queues.all()
    ages = []
    for queue in queues:
        first = await services.store.queued(queue.name, 1)
        ages += [((queue.name,), max(0.0, now - job.created_at)) for job in first]
    found = [
        gauge(INFO, [((host.version,), now - host.uptime)]),
        gauge(MEMORY, [((), host.rss_bytes)]),
        gauge(JOBS, [((queue, str(state)), count) for (queue, state), count in sorted(counts.items())]),
        gauge(LIMIT, [((queue.name,), queue.limit) for queue in queues]),
        gauge(PAUSED, [((queue.name,), float(queue.control.paused is not None)) for queue in queues]),
        gauge(NEXT, ages),
        gauge(LOCKS, [((), len(await services.store.locks()))]),
        gauge(DRAINING, [((), float(services.drains.since is not None))]),
        *services.metrics.samples(),
        (COMMIT_SECONDS, of_histogram(COMMIT_SECONDS, (), services.store.commit_seconds)),
    ]
    return wire.MetricsReply(
        [wire.MetricFamily(PREFIX + family.name, family.kind, family.help, samples) for family, samples in found]
    )
