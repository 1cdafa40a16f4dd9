"""The page of the daemon itself: what it is, whether it drains, and what recovery would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobkeep.protocol.admin import RecoverRow, StatusReply
from jobkeep.protocol.processes import EmergencyReport, Process, Survivor
from jobkeep.web.model import words
from jobkeep.web.model.job_page import Fact
from jobkeep.web.model.words import Moment, State
from jobkeep.wording import escape, span


@dataclass(frozen=True, slots=True)
class System:
    facts: list[Fact]
    places: list[Fact]
    draining: bool
    since: Moment | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of recovery about one run."""

    id: str
    short: str
    name: str
    run: int
    state: State
    verdict: str
    silent: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class Emergency:
    """What an emergency did, or would do."""

    counts: list[Fact]
    processes: list[str]
    survivors: list[str]
    unrecorded: str


def system(status: StatusReply, now: datetime) -> System:
    """Of what the daemon says about itself."""
    return System(
        facts=[
            Fact("Version", f"{status.version}, protocol {status.protocol}"),
            Fact("Process", f"{status.pid}, for {span(status.uptime_s)}"),
            Fact("Memory", words.size(status.rss_bytes)),
            Fact("Jobs", ", ".join(f"{words.number(count)} {state}" for state, count in status.jobs.items() if count)),
            Fact("Locks held", words.number(status.locks), path="/locks"),
            Fact("Sessions", words.number(status.sessions), path="/processes"),
            Fact("SQLite", status.sqlite_version),
            Fact("Starts", words.number(status.epoch)),
        ],
        places=[
            Fact("Socket", escape(status.socket)),
            Fact("State", escape(status.state_dir)),
            Fact("Runtime", escape(status.runtime_dir)),
            Fact("Configuration", escape(status.config or "none: the defaults")),
        ],
        draining=status.draining,
        since=words.moment(status.draining_since, now) if status.draining_since else None,
    )


def verdicts(rows: Sequence[RecoverRow]) -> list[Verdict]:
    """Those that something is done about come first."""
    ordered = sorted(rows, key=lambda row: row.action == "leave")
    return [
        Verdict(
            row.id, words.short(row.id), row.name, row.run, words.state(row.state, row.health), row.verdict,
            span(row.stuck_for_s) if row.stuck_for_s is not None else "", row.action, escape(row.reason),
        )
        for row in ordered
    ]  # fmt: skip


def emergency(report: EmergencyReport) -> Emergency:
    """Of what `jobkeep emergency --json` prints."""
    touched = [_named(one) for one in report.processes if one.action in ("killed", "would_kill")]
    counts = [
        Fact("Daemon", ", ".join(map(str, report.daemon)) or "none"),
        Fact("Processes", words.number(len(touched))),
        Fact("Runs", words.number(report.runs)),
        Fact("Sessions", words.number(report.sessions)),
        Fact("Locks of clients", words.number(report.locks)),
        Fact("Queues paused", words.number(report.queues)),
        Fact("Protected processes", words.number(report.protected_count)),
    ]
    survivors = [f"{_named(one)}: {escape(one.reason)}" for one in report.survivors]
    return Emergency(counts, touched, survivors, escape(report.unrecorded or ""))


def _named(process: Process | Survivor) -> str:
    return f"{process.pid} ({escape(process.command)})"
