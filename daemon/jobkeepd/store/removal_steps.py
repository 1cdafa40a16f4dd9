"""The steps that remove ended jobs: whoever removes some, a person or retention, does it by these."""

from __future__ import annotations

import contextlib

from jobkeepd.core.lifecycle import may_remove
from jobkeepd.core.model import Job
from jobkeepd.errors import UnknownJob
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.lock_steps import settle_at_once
from jobkeepd.store.removal_changes import (
    EraseRemoved,
    ForgetEnvironments,
    ForgetEvents,
    ForgetLeftovers,
    ForgetRequests,
    Leftover,
    Removed,
    RemoveJobs,
)


def remove_jobs(change: RemoveJobs, ledger: Ledger) -> Removed:
    over: list[Job] = []
    live: list[Job] = []
    for id in dict.fromkeys(change.jobs):
        with contextlib.suppress(UnknownJob):
            job = ledger.job(id)
            (over if may_remove(job.state).allowed else live).append(job)
    leftovers = tuple(Leftover(job.id, job.run.number) for job in over if job.run is not None)
    if over:
        data = {} if change.reason is None else {"reason": change.reason}
        for job in over:
            ledger.log("removed", change.at, job, by=change.by, data=data)
            settle_at_once(job, ledger)
        ledger.remove(over)
        ledger.put_leftovers(leftovers)
    return Removed(tuple(job.id for job in over), tuple(live), leftovers)


def forget_events(change: ForgetEvents, ledger: Ledger) -> None:
    ledger.forget_events(change.through)


def forget_requests(change: ForgetRequests, ledger: Ledger) -> tuple[int, str] | None:
    asked = ledger.asked(change.behind, change.limit)
    ledger.forget_requests([(uid, id) for uid, id, at in asked if at < change.since])
    return asked[-1][:2] if len(asked) == change.limit else None


def erase_removed(change: EraseRemoved, ledger: Ledger) -> bool:
    return ledger.erase(change.limit)


def forget_environments(change: ForgetEnvironments, ledger: Ledger) -> str | None:
    return ledger.forget_environments(change.is_used, change.behind, change.after, change.limit)


def forget_leftovers(change: ForgetLeftovers, ledger: Ledger) -> None:
    ledger.forget_leftovers(change.jobs)
