"""What is made durable of a run: its progress, and its end as it was decided. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from jobkeepd.core.ending import Decision, Exited, Finished, Recovered, RunEnd
from jobkeepd.core.model import Job, Progress, Usage
from jobkeepd.store.changes import EndRun, SaveProgress


def as_recovered(end: RunEnd, recovered: Recovered | None) -> RunEnd:
    """The end of a run that recovery has killed; but what it achieved before that stays true."""
    if recovered is None:
        return end
    match end:
        case Finished(outcome="succeeded"):
            return end
        case Exited(exit=exit):
            return end if exit.status == 0 else replace(recovered, ended_at=exit.ended_at)
        case _:
            return recovered


def end_run(job: Job, decision: Decision, usage: Usage | None) -> EndRun:
    return EndRun(
        run=job.ref,
        outcome=decision.outcome,
        state=decision.state,
        at=decision.at,
        status=decision.status,
        reason=decision.reason,
        error=decision.error,
        result=decision.result,
        usage=usage,
        charge=decision.charge,
        due_at=decision.due_at,
        from_start=decision.from_start,
        futile=decision.futile,
    )


def save_progress(job: Job, progress: Progress, at: float) -> SaveProgress:
    return SaveProgress(
        run=job.ref,
        done=progress.done,
        total=progress.total,
        note=progress.note,
        tallies=progress.tallies,
        at=at,
    )
