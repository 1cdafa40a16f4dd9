"""The steps of waiting for a start: how it begins, and how it ends without one."""

from __future__ import annotations

from jobkeepd.core.ending import ended_without_run
from jobkeepd.core.model import Job, Moment
from jobkeepd.core.patience import deadline_of, why_not_started
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.lock_steps import gives_way, job_is_over
from jobkeepd.store.wait_changes import EndWait, RedateWaits


def begin_wait(job: Job, now: Moment | None, at: float, ledger: Ledger) -> None:
    """The job has become queued, and has not run since somebody wanted it to."""
    deadline = deadline_of(job.spec, now, at)
    if deadline is not None:
        ledger.put_deadline(job, deadline)


def end_wait(change: EndWait, ledger: Ledger) -> bool:
    job = ledger.job(change.job)
    deadline = ledger.deadline(job)
    if deadline is None or deadline.until.monotonic > change.now.monotonic:
        return False
    if job.state == "queued" and job.run is not None and job.run.state != "ended":
        return False
    ledger.put_deadline(job, None)
    if job.state != "queued":
        return False
    reason = why_not_started(job)
    failed = ended_without_run(job, "fail_for_good", change.at, reason)
    ledger.put(job, failed)
    ledger.log("failed", change.at, job, data={"reason": reason})
    job_is_over(failed, ledger, change.at)
    gives_way(job, ledger, change.at)
    return True


def redate_waits(change: RedateWaits, ledger: Ledger) -> bool:
    return ledger.redate_deadlines(change.now, change.at, change.limit) == change.limit
