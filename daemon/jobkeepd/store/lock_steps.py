"""The steps of a lock, and what the end of a job or of its run means for those that wait."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from jobkeepd.core import lease
from jobkeepd.core.lease import Lock, RunHolder
from jobkeepd.core.model import Job, Peer
from jobkeepd.errors import LeaseLost, LockTaken, UnknownLock, UnreadableJob
from jobkeepd.store.after_steps import parent_is_over, still_waits
from jobkeepd.store.changes import ClaimRun
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.limit_steps import let_in_after
from jobkeepd.store.lock_changes import AcquireLock, ReleaseLock, RenewLocks, ResetLock
from jobkeepd.store.wait_changes import SettleParents


def find(name: str, ledger: Ledger) -> Lock:
    return ledger.lock(name) or Lock(name=name)


def acquire_lock(change: AcquireLock, ledger: Ledger) -> Lock:
    before = find(change.name, ledger)
    taken = lease.take(before, change.holder, change.ttl_s, change.at, change.now)
    if taken is None:
        raise LockTaken(before)
    if before.holder is not None and taken.token != before.token:  # its lease was over, and nobody had noticed
        _log(ledger, "lock_released", before, change.at, None, reason="expired")
    ledger.put_lock(taken)
    if taken.token != before.token:
        _log(ledger, "lock_acquired", taken, change.at, change.by)
    return taken


def renew_locks(change: RenewLocks, ledger: Ledger) -> tuple[str, ...]:
    lost = []
    for name, token in change.leases:
        try:
            lock = _held(name, token, ledger, change.pid)
        except LeaseLost:
            lost.append(name)
            continue
        if lease.is_over(lock, change.now) and not change.revive:
            lost.append(name)
        else:
            ledger.put_lock(replace(lock, renewed=change.now))
    return tuple(lost)


def _held(name: str, token: int, ledger: Ledger, pid: int | None) -> Lock:
    """The lock, if it is held with that token, and by the process `pid` where it is given: a token is no secret."""
    lock = ledger.lock(name)
    if lock is None or lock.token != token or lock.holder is None:
        raise LeaseLost(name, token)
    if pid is not None and (isinstance(lock.holder, RunHolder) or lock.holder.identity.pid != pid):
        raise LeaseLost(name, token)
    return lock


def release_lock(change: ReleaseLock, ledger: Ledger) -> Lock:
    lock = _held(change.name, change.token, ledger, None if change.by is None else change.by.pid)
    if isinstance(lock.holder, RunHolder):  # a run's lock goes with its end, and in no other way
        raise LeaseLost(change.name, change.token)
    if change.over is not None and not lease.is_over(lock, change.over):
        return lock  # it was renewed in the nick of time
    return _free(lease.let_go(lock), lock, ledger, change.at, change.by, change.reason)


def reset_lock(change: ResetLock, ledger: Ledger) -> Lock:
    lock = ledger.lock(change.name)
    if lock is None:
        raise UnknownLock(change.name)
    if lock.token != change.token:
        raise LeaseLost(change.name, change.token)
    if isinstance(lock.holder, RunHolder) and (change.left or _is_readable(lock.holder.job, ledger)):
        raise LockTaken(lock)  # two owners otherwise: it goes with the run's end
    free = lease.reset(lock)
    ledger.put_lock(free)
    taken_from: dict[str, Any] = {}
    if isinstance(lock.holder, RunHolder):
        taken_from = {"unreadable": lock.holder.job}
    elif lock.holder is not None:
        taken_from = {"uid": lock.holder.uid, "pid": lock.holder.identity.pid}
    _log(ledger, "lock_reset", free, change.at, change.by, reason=change.reason, **taken_from)
    pass_on(lock.name, ledger, change.at)
    return free


def _is_readable(job: str, ledger: Ledger) -> bool:
    try:
        ledger.job(job)
    except UnreadableJob:
        return False
    return True


def take_for_run(job: Job, number: int, change: ClaimRun, ledger: Ledger) -> Lock | None:
    """The job's lock, held by the run that is being claimed; None while somebody else has it."""
    assert job.spec.lock is not None
    before = find(job.spec.lock, ledger)
    taken = lease.take(before, RunHolder(job.id, number), change.ttl_s, change.at, change.now)
    if taken is None:
        return None
    if before.holder is not None:
        _log(ledger, "lock_released", before, change.at, None, reason="expired")
    ledger.put_lock(taken)
    _log(ledger, "lock_acquired", taken, change.at, None, job)
    return taken


def run_is_over(job: Job, ledger: Ledger, at: float) -> None:
    """The open run that `job` has is no more: its lock and its places are free."""
    let_in_after(job, at, ledger)
    name = job.spec.lock
    lock = None if name is None else ledger.lock(name)
    if name is None or lock is None or job.run is None:
        return
    if lock.holder == RunHolder(job.id, job.run.number):
        _free(lease.let_go(lock), lock, ledger, at, None, "released", job)


def job_is_over(job: Job, ledger: Ledger, at: float) -> None:
    """The job has ended: who waits for that, or for its key, may go on; or fails with it, for others to go on."""
    for over in (job, *parent_is_over(job, at, ledger, ledger.most_settled)):
        _pass_key(over, ledger, at)


def settle_parents(change: SettleParents, ledger: Ledger) -> None:
    """Go on with one of those for whose ends there were too many to be told."""
    found = ledger.unsettled()
    if found is not None:
        _settle(*found, ledger, ledger.most_settled)


def settle_at_once(parent: Job, ledger: Ledger) -> None:
    """It is about to be another than the one that has ended: whoever waits for that end is told now."""
    found = ledger.unsettled(parent.id) if parent.awaited else None
    if found is not None:
        _settle(*found, ledger, 1 << 60)


def _settle(id: str, at: float, ledger: Ledger, most: int) -> None:
    ledger.put_unsettled(id, None)
    for over in parent_is_over(ledger.job(id), at, ledger, most):
        _pass_key(over, ledger, at)


def _pass_key(job: Job, ledger: Ledger, at: float) -> None:
    key = job.spec.key
    waiter = ledger.holder(key, 1) if key is not None and job.key_slot == 0 else None
    if waiter is not None and waiter.state == "scheduled":
        ledger.put(waiter, replace(waiter, key_slot=0))
    elif waiter is not None:
        ledger.put(waiter, replace(waiter, key_slot=0, blocked=still_waits(waiter, ledger)))
        ledger.log("unblocked", at, waiter, data={"on": "key"})


def gives_way(job: Job, ledger: Ledger, at: float) -> None:
    """It has left the queue without a run: it may have been let in for its lock, or for the limit of a label."""
    if job.blocked is None:
        let_in_after(job, at, ledger)
        if job.spec.lock is not None:
            pass_on(job.spec.lock, ledger, at)


def pass_on(name: str, ledger: Ledger, at: float) -> None:
    """Let the first of each queue try for a lock that is free: a queue that stands still must not keep it idle."""
    lock = ledger.lock(name)
    if lock is not None and lock.holder is not None:
        return
    for job in ledger.first_blocked(name):
        ledger.put(job, replace(job, blocked=None))
        ledger.log("unblocked", at, job, data={"on": "lock", "lock": name})


def _free(
    free: Lock, before: Lock, ledger: Ledger, at: float, by: Peer | None, reason: str, job: Job | None = None
) -> Lock:
    ledger.put_lock(free)
    _log(ledger, "lock_released", before, at, by, job, reason=reason)
    pass_on(free.name, ledger, at)
    return free


def _log(
    ledger: Ledger, kind: str, lock: Lock, at: float, by: Peer | None, job: Job | None = None, **data: Any
) -> None:
    said = {name: value for name, value in data.items() if value is not None}
    run = lock.holder.run if job is not None and isinstance(lock.holder, RunHolder) else None
    ledger.log(kind, at, job, run, by, {"lock": lock.name, "token": lock.token, **said})
