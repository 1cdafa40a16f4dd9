"""org.jobkeep.Processes: whose the processes of the host are, and clean-up."""

from __future__ import annotations

from collections import Counter

from jobkeep.protocol import processes as wire
from jobkeepd.core.model import Peer
from jobkeepd.rpc.services import Services
from jobkeepd.runner.base import Ended
from jobkeepd.supervisor.cleanup import Cleaned, Row


async def listed(services: Services, asked: wire.ListParameters, peer: Peer) -> wire.ListReply:
    seen = await services.cleanup.look()
    rows = [row for row in seen.rows if asked.all or _concerns_us(row)]
    return wire.ListReply(_views(seen, [row for row in rows if not asked.orphans or row.finding.verdict == "orphan"]))


async def clean_up(services: Services, asked: wire.CleanupParameters, peer: Peer) -> wire.CleanupReply:
    cleaned = await services.cleanup.clean_once(dry_run=asked.dry_run, by=peer, reason=asked.reason)
    rows = [row for row in cleaned.rows if _concerns_us(row)]
    actions = Counter(row.action for row in rows)
    return wire.CleanupReply(
        killed_count=actions["killed"],
        protected_count=actions["protected"],
        active_sessions=cleaned.active_sessions,
        survivors=[survivor(each) for each in cleaned.survivors],
        processes=_views(cleaned, rows),
        dry_run=cleaned.dry_run,
    )


def _concerns_us(row: Row) -> bool:
    finding = row.finding
    return finding.verdict in ("owned", "orphan") or finding.family is not None


def _views(cleaned: Cleaned, rows: list[Row]) -> list[wire.Process]:
    return [view(row, cleaned.now) for row in rows]


def view(row: Row, now: float) -> wire.Process:
    """As it is told; `now` in seconds since the boot."""
    finding, sight = row.finding, row.finding.sight
    return wire.Process(
        pid=sight.pid,
        command=sight.command or f"[{sight.names[-1]}]",
        family=finding.family,
        run=finding.run,
        verdict=finding.verdict,
        evidence=list(finding.evidence),
        action=row.action,
        reason=row.reason,
        uid=sight.uid,
        state=sight.state,
        cpu_s=sight.cpu_s,
        rss_bytes=sight.rss_bytes,
        age_s=max(now - sight.born, 0.0),
    )


def survivor(ended: Ended) -> wire.Survivor:
    return wire.Survivor(ended.sight.pid, ended.sight.command, ended.why)
