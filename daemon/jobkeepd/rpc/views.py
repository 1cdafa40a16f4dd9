"""The daemon's model as people see it on the wire: pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import structs

from jobkeep.protocol import admin, locks, queues, sessions
from jobkeep.protocol import jobs as wire
from jobkeep.protocol.vocabulary import ENDED_STATES, JobState
from jobkeepd.core import lifecycle
from jobkeepd.core.lease import Holder, Lock, RunHolder, age, expires_in, is_over
from jobkeepd.core.liveness import Live
from jobkeepd.core.model import Entry, Job, JobSpec, Moment, Peer, Run
from jobkeepd.core.queueing import Deed
from jobkeepd.supervisor.recovery import Row
from jobkeepd.supervisor.sessions import SessionView

DRAINING = "the daemon is draining"
Hold = str | None  # why nothing like this job is started


def job_view(job: Job, runs: Sequence[Run], live: Live | None, now: float, hold: Hold = None) -> wire.Job:
    return refreshed(_still_view(job, runs), job, live, now, hold)


def refreshed(view: wire.Job, job: Job, live: Live | None, now: float, hold: Hold) -> wire.Job:
    """`view`, which was made of this very `job`, with what moves by itself. Once a job has ended nothing does."""
    if job.state in ENDED_STATES:
        return view
    held = _held(job, hold)
    if live is None and job.started_at is None and held == view.held:
        return view
    return structs.replace(
        view,
        health="ok" if live is None else live.health,
        elapsed_s=_elapsed(view.runs, now),
        progress=job.progress if live is None else live.progress,
        heartbeat_age_s=None if live is None else live.heartbeat_age,
        stuck_for_s=None if live is None else live.stuck_for,
        health_reason=None if live is None else live.reason,
        held=held,
    )


def _held(job: Job, hold: Hold) -> str | None:
    if hold is not None and job.state in ("queued", "scheduled"):
        return hold
    match job.blocked:
        case None:
            return None
        case "lock":
            return f"it waits for the lock {job.spec.lock}"
        case "key":
            return f"it waits for the key {job.spec.key}"
        case "after":
            return "it waits for the end of other jobs"
        case "limit":
            return f"it waits for the limit of the label {job.waits_on}"


def lock_view(lock: Lock, waiting: int, now: Moment, max_hold: float) -> locks.Lock:
    """`now` and `max_hold` in monotonic seconds."""
    held = not is_over(lock, now)
    return locks.Lock(
        name=lock.name,
        token=lock.token,
        holder=holder_view(lock.holder) if held and lock.holder is not None else None,
        acquired_at=utc_or_none(lock.acquired_at) if held else None,
        age_s=age(lock, now) if held else None,
        expires_in_s=max(expires_in(lock, now), 0.0) if held else None,
        stale=held and age(lock, now) >= max_hold,
        waiting=waiting,
    )


def session_view(view: SessionView) -> sessions.Session:
    job, alive = view.job, view.state not in ("dead", "closed")
    run = None if job is None else job.run
    settings = view.settings
    said = view.complaint
    return sessions.Session(
        name=view.name,
        state=view.state,
        pid=run.identity.pid if alive and run is not None and run.identity is not None else None,
        in_use_by=None if view.lock is None or view.lock.holder is None else holder_view(view.lock.holder),
        started_at=utc_or_none(run.started_at) if alive and run is not None else None,
        health="unknown" if said is None or not alive else "failing" if said else "ok",
        reason=said or None if alive else view.ended,
        info={} if settings is None else settings.info,
        job=None if job is None else job.id,
        waiting=view.waiting,
    )


def recovery_row(row: Row) -> admin.RecoverRow:
    job, live, finding = row.job, row.live, row.finding
    assert job.run is not None
    return admin.RecoverRow(
        id=job.id,
        name=name_of(job.spec),
        run=job.run.number,
        state=job.state,
        health="ok" if live is None else live.health,
        progress=job.progress if live is None else live.progress,
        labels=job.spec.labels,
        created_at=utc(job.created_at),
        stuck_for_s=finding.stuck_for,
        verdict=finding.verdict,
        action=finding.action,
        reason=finding.reason,
    )


def holder_view(holder: Holder) -> locks.Holder:
    if isinstance(holder, RunHolder):
        return locks.Holder("run", job=holder.job, run=holder.run)
    return locks.Holder("client", pid=holder.identity.pid, uid=holder.uid)


def _still_view(job: Job, runs: Sequence[Run]) -> wire.Job:
    spec = job.spec
    shown = [run_view(run) for run in runs]
    return wire.Job(
        id=job.id,
        name=name_of(spec),
        kind="command" if spec.function is None else "function",
        state=job.state,
        health="ok",
        queue=spec.queue,
        labels=spec.labels,
        key=spec.key,
        lock=spec.lock,
        priority=spec.priority,
        attempt=0 if job.run is None else job.run.number,
        runs=shown,
        created_at=utc(job.created_at),
        started_at=utc_or_none(job.started_at),
        ended_at=utc_or_none(job.ended_at),
        due_at=utc_or_none(job.due_at),
        elapsed_s=None if job.ended_at is None else _elapsed(shown, job.ended_at),
        progress=job.progress,
        checkpoint=_checkpoint(job),
        steps=0 if job.run is None else job.run.steps,
        heartbeat_age_s=None,
        stuck_for_s=None,
        outcome=_outcome(job),
        actions=ACTIONS[job.state, job.progress.failed_items > 0],
        spec=spec,
    )


def name_of(spec: JobSpec) -> str:
    """The name that a job without one goes by: that of its command or function."""
    if spec.name is not None:
        return spec.name
    if spec.function is not None:
        return spec.function.partition(":")[2]
    command = spec.command or [""]
    return command[0].rstrip("/").rpartition("/")[2] or command[0]


def run_view(run: Run) -> wire.Run:
    exit_code, signal = exit_of(run.status)
    return wire.Run(
        number=run.number,
        outcome=run.outcome,
        started_at=utc_or_none(run.started_at),
        ended_at=utc_or_none(run.ended_at),
        exit_code=exit_code,
        signal=signal,
        reason=run.reason,
    )


def exit_of(status: int | None) -> tuple[int | None, int | None]:
    """(exit code, signal number) of a raw wait status: one of them is None, both where nobody saw the end."""
    if status is None:
        return None, None
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status)
    return os.WEXITSTATUS(status), None


def event_view(entry: Entry) -> wire.Event:
    return wire.Event(
        seq=entry.seq,
        at=utc(entry.at),
        kind=entry.kind,
        job=entry.job,
        run=entry.run,
        by=_by(entry.by),
        data=entry.data,
    )


def actions_in(state: JobState, has_failed_items: bool) -> wire.Actions:
    """The daemon's own verdicts, as the CLI and others show them."""
    return wire.Actions(
        cancel=_action(lifecycle.may_cancel(state)),
        resume=_action(lifecycle.may_resume(state)),
        resume_failed_items=_action(lifecycle.may_resume_failed_items(state, int(has_failed_items))),
        restart=_action(lifecycle.may_restart(state)),
        rm=_action(lifecycle.may_remove(state)),
    )


def withheld(view: wire.Job, why: str) -> wire.Job:
    """As it is shown to somebody who may do nothing with it."""
    return structs.replace(view, actions=_nothing(why))


@lru_cache(64)
def _nothing(why: str) -> wire.Actions:
    no = wire.Action(False, why)
    return wire.Actions(cancel=no, resume=no, resume_failed_items=no, restart=no, rm=no)


def _action(verdict: lifecycle.Verdict) -> wire.Action:
    return wire.Action(verdict.allowed, verdict.reason)


ACTIONS = {(state, has): actions_in(state, has) for state in lifecycle.STATES for has in (False, True)}


def _outcome(job: Job) -> wire.Outcome | None:
    if job.outcome is None:
        return None
    # A job that was cancelled between two runs, or never started again, did not end like the run before.
    run = job.run
    if run is not None and (run.outcome, run.reason) != (job.outcome, job.reason):
        run = None
    exit_code, signal = exit_of(None if run is None else run.status)
    return wire.Outcome(job.outcome, exit_code, signal, job.reason, job.error)


def _checkpoint(job: Job) -> wire.Checkpoint | None:
    if job.checkpoint_at is None:
        return None
    return wire.Checkpoint(job.checkpoint_seq, utc(job.checkpoint_at))


def _elapsed(runs: Sequence[wire.Run], now: float) -> float | None:
    """What they have taken together; what was between them is nobody's time. None before the first."""
    begun = [(run.started_at, run.ended_at or utc(now)) for run in runs if run.started_at is not None]
    if not begun:
        return None
    return sum(max(0.0, (end - start).total_seconds()) for start, end in begun)  # the clock may have been set back


def _by(peer: Peer | None) -> wire.By | None:
    return None if peer is None else wire.By(peer.uid, peer.pid)


def utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def utc_or_none(at: float | None) -> datetime | None:
    return None if at is None else utc(at)


def deed_view(deed: Deed | None) -> queues.Deed | None:
    """Who has paused or limited something, when and why."""
    return None if deed is None else queues.Deed(deed.by.uid, deed.by.pid, utc(deed.at), deed.reason)
