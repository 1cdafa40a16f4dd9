"""The daemon's model as people see it on the wire: pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import structs

from jobkeep.protocol import jobs as wire
from jobkeep.protocol.vocabulary import ENDED_STATES, JobState
from jobkeepd.core import lifecycle
from jobkeepd.core.liveness import Live
from jobkeepd.core.model import Entry, Job, JobSpec, Peer, Run


def job_view(job: Job, runs: Sequence[Run], live: Live | None, now: float) -> wire.Job:
    return refreshed(_still_view(job, runs), job, live, now)


def refreshed(view: wire.Job, job: Job, live: Live | None, now: float) -> wire.Job:
    """`view`, which was made of this very `job`, with what moves by itself. Once a job has ended nothing does."""
    if job.state in ENDED_STATES:
        return view
    return structs.replace(
        view,
        health="ok" if live is None else live.health,
        elapsed_s=_elapsed(job, now),
        progress=job.progress if live is None else live.progress,
        heartbeat_age_s=None if live is None else live.heartbeat_age,
        stuck_for_s=None if live is None else live.stuck_for,
    )


def _still_view(job: Job, runs: Sequence[Run]) -> wire.Job:
    spec = job.spec
    return wire.Job(
        id=job.id,
        name=name_of(spec),
        kind="command" if spec.function is None else "function",
        state=job.state,
        health="ok",
        queue=spec.queue,
        labels=spec.labels,
        key=spec.key,
        lock=None,
        priority=spec.priority,
        attempt=0 if job.run is None else job.run.number,
        runs=[run_view(run) for run in runs],
        created_at=_utc(job.created_at),
        started_at=_utc_or_none(job.started_at),
        ended_at=_utc_or_none(job.ended_at),
        due_at=_utc_or_none(job.due_at),
        elapsed_s=None if job.ended_at is None else _elapsed(job, job.ended_at),
        progress=job.progress,
        checkpoint=_checkpoint(job),
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
        started_at=_utc_or_none(run.started_at),
        ended_at=_utc_or_none(run.ended_at),
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
        at=_utc(entry.at),
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
    )


def _action(verdict: lifecycle.Verdict) -> wire.Action:
    return wire.Action(verdict.allowed, verdict.reason)


ACTIONS = {(state, has): actions_in(state, has) for state in lifecycle.STATES for has in (False, True)}


def _outcome(job: Job) -> wire.Outcome | None:
    if job.outcome is None:
        return None
    # A job that was cancelled between two runs did not end like the run before.
    run = job.run if job.run is not None and job.run.outcome == job.outcome else None
    exit_code, signal = exit_of(None if run is None else run.status)
    return wire.Outcome(job.outcome, exit_code, signal, job.reason, job.error)


def _checkpoint(job: Job) -> wire.Checkpoint | None:
    if job.checkpoint_at is None:
        return None
    return wire.Checkpoint(job.checkpoint_seq, _utc(job.checkpoint_at))


def _elapsed(job: Job, now: float) -> float | None:
    if job.started_at is None:
        return None
    end = now if job.ended_at is None else job.ended_at
    return max(0.0, end - job.started_at)  # the clock may have been set back meanwhile


def _by(peer: Peer | None) -> wire.By | None:
    return None if peer is None else wire.By(peer.uid, peer.pid)


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _utc_or_none(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
