"""The steps of a submit: once per request, once per key, and behind whoever holds the lock."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from jobkeepd.core import lease
from jobkeepd.core.authz import NotYours
from jobkeepd.core.dependencies import has_parents
from jobkeepd.core.due import due_at
from jobkeepd.core.lease import Lock, RunHolder
from jobkeepd.core.model import Blocked, Job, JobState, Moment
from jobkeepd.core.quota import check_queued
from jobkeepd.core.uniqueness import FREE, Resolution, resolve
from jobkeepd.errors import KeyTaken, LockTaken, RequestMismatch
from jobkeepd.store.after_steps import Parents
from jobkeepd.store.changes import NewJob, RequestStop, SubmitJobs, Submitted
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.limit_steps import Room
from jobkeepd.store.line_steps import Lines
from jobkeepd.store.lock_steps import find
from jobkeepd.store.run_steps import has_open_run
from jobkeepd.store.wait_steps import begin_wait
from jobkeepd.store.wish_steps import request_stop

_FRESH: Final[JobState] = "queued"


def submit_jobs(change: SubmitJobs, ledger: Ledger) -> Submitted:
    if change.request is not None:
        known = ledger.answered(change.by.uid, change.request)
        if known is not None:
            digest, answer = known
            if digest != change.digest:
                raise RequestMismatch(change.request)
            return replace(answer, created=False, stopping=())
    answer = _submit_one(change, ledger) if len(change.jobs) == 1 else _submit_many(change, ledger)
    if change.request is not None:
        ledger.remember(change.by.uid, change.request, change.digest, answer, change.at)
    return answer


def _submit_many(change: SubmitJobs, ledger: Ledger) -> Submitted:
    """All or none. Raises KeyTaken, also where the jobs conflict among themselves."""
    keyed: dict[str, NewJob] = {}
    for new in change.jobs:
        key = new.spec.key
        if key is None:
            continue
        if key in keyed:
            raise KeyTaken(key, keyed[key].id, _FRESH, change.at)
        keyed[key] = new
        holder = ledger.holder(key)
        if holder is not None:
            raise _taken(key, holder)
    _check_quota(change, ledger)
    return _insert(change, Parents(change.jobs, ledger), ledger, 0)


def _submit_one(change: SubmitJobs, ledger: Ledger) -> Submitted:
    new = change.jobs[0]
    key = new.spec.key
    holder = waiter = None
    resolution = FREE
    if key is not None and (holder := ledger.holder(key)) is not None:
        waiter = ledger.holder(key, 1)
        resolution = resolve(change.on_conflict or "reject", has_open_run(holder), waiter is not None)
    parties = {"holder": holder, "waiter": waiter}
    for party in resolution.cancel:
        rival = parties[party]
        if rival is not None and rival.owner != change.by.uid and not change.others:
            raise NotYours(f"job {rival.id}, which has the key {key},", rival.owner, change.by.uid)
    if resolution.verdict != "insert":
        rival = parties[resolution.party]
        assert key is not None and rival is not None
        if resolution.verdict == "refuse":
            raise _taken(key, rival)
        return _answer(rival)
    rival = _rival_for_lock(change, new, ledger)
    if rival is not None:
        return _answer(rival)
    _check_quota(change, ledger)
    parents = Parents(change.jobs, ledger)  # before anything is changed: they may not be there
    stopping = _make_room(change, resolution, parties, ledger)
    return _insert(change, parents, ledger, resolution.slot, stopping)


def _check_quota(change: SubmitJobs, ledger: Ledger) -> None:
    if change.most_waiting is not None:
        check_queued(change.by.uid, ledger.waiting(change.by.uid), len(change.jobs), change.most_waiting)


def _answer(job: Job) -> Submitted:
    return Submitted((job.id,), job.state, created=False)


def _taken(key: str, job: Job) -> KeyTaken:
    return KeyTaken(key, job.id, job.state, job.created_at)


def _rival_for_lock(change: SubmitJobs, new: NewJob, ledger: Ledger) -> Job | None:
    """The job to answer with instead. Raises LockTaken where the lock is another's and nobody wants to wait."""
    if new.spec.lock is None or change.on_conflict not in ("reject", "return"):
        return None
    lock = find(new.spec.lock, ledger)
    if lease.is_over(lock, change.now):
        rival = ledger.aspirant(lock.name)  # who was accepted before, and has not begun yet
        if rival is None:
            return None
        lock = Lock(name=lock.name, token=lock.token, holder=RunHolder(rival.id, 0), acquired_at=rival.created_at)
    if change.on_conflict == "return" and isinstance(lock.holder, RunHolder):
        return ledger.job(lock.holder.job)
    raise LockTaken(lock)


def _make_room(
    change: SubmitJobs, resolution: Resolution, parties: dict[str, Job | None], ledger: Ledger
) -> tuple[str, ...]:
    """Cancel whom the new job replaces; the jobs whose runs are still to be ended."""
    if not resolution.cancel:
        return ()
    stopping = []
    for party in sorted(resolution.cancel, reverse=True):  # the waiter first: it must not follow the holder
        job = parties[party]
        assert job is not None
        reason = f"replaced by job {change.jobs[0].id}"
        if job.state == "cancelling":
            continue
        wish = RequestStop(job=job.id, stop="cancelled", by=change.by, at=change.at, reason=reason)
        if has_open_run(request_stop(wish, ledger)):
            stopping.append(job.id)
    ledger.flush()  # the new row may take a key over from one of these
    return tuple(stopping)


def _insert(
    change: SubmitJobs, parents: Parents, ledger: Ledger, slot: int, stopping: tuple[str, ...] = ()
) -> Submitted:
    first = ledger.take_seqs(len(change.jobs))
    lines, room = Lines(change.rules, change.at, ledger), Room(change.limits, ledger)
    jobs: list[Job] = []
    before: NewJob | None = None
    for seq, new in enumerate(change.jobs, first):
        if before is not None and _is_like(new, before):
            jobs.append(replace(jobs[-1], seq=seq, id=new.id))
        else:
            jobs.append(_new(seq, new, change, slot, parents, lines, room, ledger))
        before = new
    lines.keep()
    ledger.add(jobs, change.environments)
    told: dict[str, Any] = {}
    for job in jobs:
        if (data := _data(job)) != told:
            told = data  # one for many jobs, whose entries can be written together
        ledger.log("submitted", change.at, job, by=change.by, data=told)
    for job in jobs:
        if job.state == _FRESH:
            begin_wait(job, change.now, change.at, ledger)
    jobs = [parents.settle(job) for job in jobs]
    return Submitted(tuple(job.id for job in jobs), jobs[0].state, created=True, stopping=stopping)


def _is_like(new: NewJob, before: NewJob) -> bool:
    """Nothing but its id is another: not even its place, which may depend on labels, and on jobs that it waits for."""
    spec = new.spec
    return spec is before.spec and new.environment == before.environment and not spec.labels and not has_parents(spec)


def _data(job: Job) -> dict[str, Any]:
    """What the journal tells of its submit."""
    data: dict[str, Any] = {"queue": job.spec.queue}
    if job.due_at is not None:
        data["due_at"] = job.due_at
    if job.blocked is not None:
        data["blocked"] = job.blocked
    return data


def _new(
    seq: int, new: NewJob, change: SubmitJobs, slot: int, parents: Parents, lines: Lines, room: Room, ledger: Ledger
) -> Job:
    spec, due = parents.spec(new), due_at(new.spec, change.at)
    after = parents.blocked(new)
    if due is not None:
        return Job(
            seq=seq,
            id=new.id,
            spec=spec,
            environment=new.environment,
            owner=change.by.uid,
            state="scheduled",
            created_at=change.at,
            due_at=due,
            key_slot=slot,
        )
    place = lines.join(new.spec)
    blocked: Blocked | None = "key" if slot else after or blocked_by_lock(spec.lock, change.now, ledger)
    label = room.full(spec) if blocked is None and spec.labels and change.limits else None
    return Job(
        seq=seq,
        id=new.id,
        spec=spec,
        environment=new.environment,
        owner=change.by.uid,
        state=_FRESH,
        created_at=change.at,
        key_slot=slot,
        blocked=blocked if label is None else "limit",
        waits_on=label,
        line_at=place.line_at,
        turn_at=place.turn_at,
    )


def blocked_by_lock(name: str | None, now: Moment | None, ledger: Ledger) -> Blocked | None:
    """Whether a job that becomes queued has to wait for its lock first."""
    if name is None or lease.is_over(find(name, ledger), now):
        return None
    return "lock"
