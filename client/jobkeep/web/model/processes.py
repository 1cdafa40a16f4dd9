"""The page of sessions and processes: whose each is, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobkeep.protocol.processes import CleanupReply, Process
from jobkeep.protocol.sessions import Session
from jobkeep.web.model import masking, words
from jobkeep.web.model.locks import Owner, owner
from jobkeep.web.model.words import Moment, State
from jobkeep.wording import escape, span

SHOWN: Final = 500
_GLYPHS: Final = {"ready": "✓", "in_use": "▶", "starting": "…", "dead": "✗", "closed": "·"}
_TONES: Final = {"in_use": "running", "starting": "cancelling"}


@dataclass(frozen=True, slots=True)
class SessionRow:
    name: str
    state: State
    pid: str
    owner: Owner | None
    started: Moment | None
    health: str
    reason: str
    job: str
    waiting: int
    alive: bool


@dataclass(frozen=True, slots=True)
class ProcessRow:
    pid: int
    command: str
    family: str
    owner: Owner | None
    verdict: str
    evidence: str
    action: str
    reason: str
    memory: str
    cpu: str
    age: str


@dataclass(frozen=True, slots=True)
class Report:
    """What clean-up did, or would do."""

    rows: list[ProcessRow]
    ended: int
    protected: int
    sessions: int
    survivors: list[str]


def sessions(found: Sequence[Session], now: datetime) -> list[SessionRow]:
    """By name."""
    return [_session(session, now) for session in sorted(found, key=lambda session: session.name)]


def _session(session: Session, now: datetime) -> SessionRow:
    state = session.state
    return SessionRow(
        name=session.name,
        state=State(state.replace("_", " "), _GLYPHS.get(state, "?"), _TONES.get(state, state)),
        pid=str(session.pid or ""),
        owner=owner(session.in_use_by),
        started=words.moment(session.started_at, now) if session.started_at else None,
        health=session.health if session.pid else "",
        reason=escape(session.reason or ""),
        job=session.job or "",
        waiting=session.waiting,
        alive=session.state not in ("dead", "closed"),
    )


def processes(found: Sequence[Process]) -> list[ProcessRow]:
    """Orphans first, then by age; not more than a page can have."""
    ordered = sorted(found, key=lambda process: (process.verdict != "orphan", -process.age_s))
    return [_process(process) for process in ordered[:SHOWN]]


def _process(process: Process) -> ProcessRow:
    job = (process.run or "").partition(".")[0]
    is_job = bool(process.run) and "." in (process.run or "")
    whose = Owner(f"job {words.short(job)}" if is_job else escape(process.run or ""), f"/jobs/{job}" if is_job else "")
    return ProcessRow(
        pid=process.pid,
        command=escape(" ".join(masking.command(process.command.split(" ")))),
        family=process.family or "",
        owner=whose if process.run else None,
        verdict=process.verdict,
        evidence=", ".join(process.evidence),
        action=process.action.replace("_", " "),
        reason=escape(process.reason),
        memory=words.size(process.rss_bytes),
        cpu=span(process.cpu_s),
        age=span(process.age_s),
    )


def report(reply: CleanupReply) -> Report:
    """Only what is touched."""
    touched = [process for process in reply.processes if process.action in ("killed", "would_kill")]
    left = [f"{survivor.pid} ({escape(survivor.command)}): {escape(survivor.reason)}" for survivor in reply.survivors]
    return Report(processes(touched), reply.killed_count, reply.protected_count, reply.active_sessions, left)
