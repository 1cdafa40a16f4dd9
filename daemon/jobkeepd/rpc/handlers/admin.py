"""org.jobkeep.Admin: the daemon itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import anyio.lowlevel

from jobkeep.protocol import admin as wire
from jobkeep.protocol.interface import Nothing
from jobkeep.protocol.vocabulary import PROTOCOL_VERSION
from jobkeepd.core.authz import Role
from jobkeepd.core.lifecycle import STATES
from jobkeepd.core.model import Peer
from jobkeepd.core.sessions import QUEUE as SESSIONS
from jobkeepd.rpc.frames import encode, joined, listed
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.views import name_of, utc, utc_or_none
from jobkeepd.supervisor.drain import Drained

ROW_LIMIT = 10_000
QUERY_SECONDS = 5.0
ENCODED_AT_ONCE = 256 << 10  # bytes, before others have their turn


async def status(services: Services, asked: Nothing, peer: Peer, *, role: Role) -> wire.StatusReply:
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
            queue.name: wire.QueueInfo(
                limit=queue.limit,
                running=counts.get((queue.name, "running"), 0) + counts.get((queue.name, "cancelling"), 0),
                queued=counts.get((queue.name, "queued"), 0),
            )
            for queue in services.queues.all()
            if queue.configured is not None
        },
        locks=len(await services.store.locks()),
        sessions=sum(counts.get((SESSIONS, state), 0) for state in ("running", "cancelling")),
        sqlite_version=host.sqlite_version,
        rss_bytes=host.rss_bytes,
        socket=host.socket,
        state_dir=host.state_dir,
        runtime_dir=host.runtime_dir,
        database_epoch=services.store.database_epoch,
        epoch=services.store.epoch,
        draining=services.drains.since is not None,
        draining_since=utc_or_none(services.drains.since),
        config=host.config,
        role=role.word,
    )


def stop(services: Services, asked: Nothing, peer: Peer) -> wire.StopReply:
    within = services.host.stop()
    return wire.StopReply(services.host.status().pid, within)


def reload(services: Services, asked: Nothing, peer: Peer) -> wire.ReloadReply:
    return services.host.reload()


async def drain(services: Services, asked: wire.DrainParameters, peer: Peer) -> wire.DrainReply:
    report = await services.drains.drain(peer, asked.commands, asked.timeout_s)
    runs = [_drained(run) for run in report.runs]
    return wire.DrainReply(
        draining=report.since is not None,
        drained=report.over,
        since=utc_or_none(report.since),
        interrupted=[run for run in runs if run.outcome == "interrupted"],
        ended=[run for run in runs if run.outcome not in (None, "interrupted")],
        running=[run for run in runs if run.outcome is None],
    )


def _drained(drained: Drained) -> wire.DrainedRun:
    job = drained.job
    return wire.DrainedRun(
        id=job.id,
        name=name_of(job.spec),
        kind="command" if job.spec.function is None else "function",
        run=drained.run,
        outcome=drained.outcome,
        waited_for=drained.fate != "leave",
    )


def undrain(services: Services, asked: Nothing, peer: Peer) -> wire.UndrainReply:
    return wire.UndrainReply(services.drains.call_off(peer))


async def backup(services: Services, asked: wire.BackupParameters, peer: Peer) -> wire.BackupReply:
    began, at = services.clock.monotonic(), services.clock.now()
    made = await services.backups.back_up(Path(asked.file), at, force=asked.force)
    return wire.BackupReply(
        file=asked.file,
        bytes=made.size,
        jobs=made.jobs,
        schema=made.schema,
        database_epoch=made.database_epoch,
        at=utc(at),
        seconds=services.clock.monotonic() - began,
    )


async def check(services: Services, asked: Nothing, peer: Peer) -> wire.CheckReply:
    began = services.clock.monotonic()
    health = await services.backups.check()
    return wire.CheckReply(health.problems, health.size, services.clock.monotonic() - began)


async def sql(services: Services, asked: wire.SqlParameters, peer: Peer) -> bytes:
    """The frame of a SqlReply. Values may be large: others have their turn between the rows."""
    found = await services.store.sql(asked.query, ROW_LIMIT, QUERY_SECONDS)
    rows: list[bytes] = []
    size = 0
    for row in found.rows:
        rows.append(encode(row))
        size += len(rows[-1])
        if size > ENCODED_AT_ONCE:
            await anyio.lowlevel.checkpoint()
            size = 0
    columns, truncated = encode(found.columns), encode(found.truncated)
    return joined((b'{"columns":', columns, b',"rows":[', *listed(rows), b'],"truncated":', truncated, b"}"))
