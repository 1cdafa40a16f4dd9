"""org.jobkeep.Admin: the daemon itself."""

from __future__ import annotations

from collections import Counter

from jobkeep.protocol import admin as wire
from jobkeep.protocol.interface import Nothing
from jobkeep.protocol.vocabulary import PROTOCOL_VERSION
from jobkeepd.core.lifecycle import STATES
from jobkeepd.core.model import Peer
from jobkeepd.rpc.services import Services

ROW_LIMIT = 10_000
QUERY_SECONDS = 5.0


async def status(services: Services, asked: Nothing, peer: Peer) -> wire.StatusReply:
    host = services.host.status()
    counts = await services.store.counts()
    jobs = Counter({state: 0 for state in STATES})
    for (_, state), count in counts.items():
        jobs[state] += count
    return wire.StatusReply(
        version=host.version,
        pid=host.pid,
        uptime_s=host.uptime,
        protocol=PROTOCOL_VERSION,
        jobs={str(state): count for state, count in jobs.items()},
        queues={
            queue: wire.QueueInfo(
                limit=limit,
                running=counts.get((queue, "running"), 0) + counts.get((queue, "cancelling"), 0),
                queued=counts.get((queue, "queued"), 0),
            )
            for queue, limit in host.limits.items()
        },
        locks=0,
        sessions=0,
        sqlite_version=host.sqlite_version,
        rss_bytes=host.rss_bytes,
        socket=host.socket,
        state_dir=host.state_dir,
        runtime_dir=host.runtime_dir,
        database_epoch=services.store.database_epoch,
        epoch=services.store.epoch,
    )


def stop(services: Services, asked: Nothing, peer: Peer) -> wire.StopReply:
    services.host.stop()
    return wire.StopReply(services.host.status().pid)


async def sql(services: Services, asked: wire.SqlParameters, peer: Peer) -> wire.SqlReply:
    found = await services.store.sql(asked.query, ROW_LIMIT, QUERY_SECONDS)
    return wire.SqlReply(found.columns, found.rows, found.truncated)
