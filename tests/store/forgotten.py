"""Who waits for something that nobody will ever tell him of: a judge for stores in memory."""

from __future__ import annotations

from collections.abc import Sequence

from jobkeep.protocol.vocabulary import LIVE_STATES
from jobkeepd.core.label_limits import tags
from jobkeepd.core.lease import RunHolder
from jobkeepd.core.model import Job
from jobkeepd.store.memory_ledger import MemoryLedger
from jobkeepd.store.run_steps import has_open_run


def forgotten(jobs: Sequence[Job], ledger: MemoryLedger) -> list[str]:
    """Jobs behind the limit of a label that nobody runs with or is let in for; and behind parents that have ended."""
    found = []
    for job in jobs:
        if job.blocked == "limit" and not any(_may_wake(other, str(job.waits_on)) for other in jobs):
            found.append(f"{job.id} waits for the limit of {job.waits_on}")
        parents = [id for id, open in ledger.dependencies.get(job.id, {}).items() if open]
        if job.blocked == "after" and not parents:
            found.append(f"{job.id} waits for nobody")
        found += [f"{job.id} waits for {id}" for id in parents if ledger.jobs[id].state not in LIVE_STATES]
    return found


def stranded(jobs: Sequence[Job], ledger: MemoryLedger) -> list[str]:
    """Jobs behind a key or a lock that is free, and locks whose holder does not run."""
    found = []
    for job in jobs:
        if job.blocked is not None and job.state != "queued":
            found.append(f"{job.id} is {job.state} and waits for its {job.blocked}")
        if job.blocked == "key" and ledger.holder(job.spec.key or "") is None:
            found.append(f"{job.id} waits for the key {job.spec.key}")
        if job.blocked == "lock" and not _is_taken(job, jobs, ledger):
            found.append(f"{job.id} waits for the lock {job.spec.lock}")
    for lock in ledger.locks.values():
        if isinstance(lock.holder, RunHolder):
            run = ledger.jobs[lock.holder.job].run
            open = run is not None and has_open_run(ledger.jobs[lock.holder.job])
            if run is None or not open or (run.number, run.lock_token) != (lock.holder.run, lock.token):
                found.append(f"the lock {lock.name} is held by {lock.holder}")
    return found


def _is_taken(waiter: Job, jobs: Sequence[Job], ledger: MemoryLedger) -> bool:
    """Held, or somebody in the same queue was let in for it."""
    name = waiter.spec.lock
    lock = ledger.locks.get(name or "")
    same = [other for other in jobs if other.spec.lock == name and other.spec.queue == waiter.spec.queue]
    about_to = any(other.blocked is None and other.state == "queued" for other in same)
    return (lock is not None and lock.holder is not None) or about_to


def _may_wake(job: Job, label: str) -> bool:
    if label not in tags(job.spec.labels):
        return False
    return has_open_run(job) or (job.state == "queued" and job.blocked is None)
