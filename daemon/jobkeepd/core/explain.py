"""Why a job does not run, or does not move: facts in, sentences out. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from jobkeep.protocol.vocabulary import Health
from jobkeepd.core.lease import ClientHolder, Lock, RunHolder
from jobkeepd.core.limits import NOT_OURS, suspicion
from jobkeepd.core.model import Job
from jobkeepd.core.queueing import Control
from jobkeepd.core.stuck import Finding
from jobkeepd.core.wording import in_words

MOST_COUNTED: Final = 1000  # nobody is helped by the exact number of many, and counting a million takes its time


class Reason(Struct, frozen=True):
    """`kind` is for programs: after, lock, key, draining, paused, limit, due, starting, running, fenced, health,
    stopping, outcome, killed, resume. `name` is what it is about: a queue, a lock or another job.
    """

    kind: str
    text: str
    name: str | None = None


class LabelLimit(Struct, frozen=True):
    """The limit of a label's value, None where there is none any more; and the jobs that run with it."""

    label: str
    limit: int | None
    running: tuple[str, ...]


class Parents(Struct, frozen=True):
    """Whom a job waits for: how many, and some of them."""

    count: int
    some: tuple[Job, ...]


class Facts(Struct, frozen=True):
    """What is known around a job. Times UTC seconds, ages seconds."""

    now: float
    limit: int | None = None  # of its queue; None when that is not configured
    control: Control | None = None  # what people have said about its queue
    running: int = 0  # of its queue
    ahead: int = 0  # queued jobs of its queue that go first, at most MOST_COUNTED
    draining_since: float | None = None
    lock: Lock | None = None
    parents: Parents | None = None  # that the job waits for
    label_limit: LabelLimit | None = None  # that the job waits for
    rival: Job | None = None  # the live job that has its key
    health: Health = "ok"
    health_reason: str | None = None
    heartbeat_age: float | None = None
    finding: Finding | None = None


def explain(job: Job, facts: Facts) -> list[Reason]:
    """The most important reason first."""
    match job.state:
        case "scheduled":
            return [_due(job, facts)]
        case "queued":
            return _queued(job, facts)
        case "running" | "cancelling":
            return _running(job, facts)
        case _:
            return _ended(job)


def _due(job: Job, facts: Facts) -> Reason:
    left = max(0.0, (job.due_at or facts.now) - facts.now)
    when = f"due in {in_words(left)}" if left >= 1 else "due now"
    if job.attempts:
        return Reason(
            "due", f"attempt {job.attempts} of {job.spec.retries + 1} failed ({job.reason}); the next is {when}"
        )
    return Reason("due", f"it is {when}")


def _queued(job: Job, facts: Facts) -> list[Reason]:
    found = []
    claimed = job.run if job.run is not None and job.run.state == "starting" else None
    full = facts.limit is not None and facts.running >= facts.limit
    if claimed is not None and full:
        queue = job.spec.queue
        found.append(Reason("limit", f"it is among the next of queue {queue}, which {_runs(facts)}", queue))
    elif claimed is not None:
        found.append(Reason("starting", f"its start on seat {claimed.seat} is on the way"))
    if job.blocked == "key":
        found.append(_behind(job, facts))
    if facts.parents is not None and facts.parents.count:
        found.append(_after(job, facts.parents))
    if job.blocked == "lock":
        found.append(_lock(job, facts))
    if job.blocked == "limit":
        found.append(_label(job, facts))
    if facts.draining_since is not None:
        since = in_words(facts.now - facts.draining_since)
        found.append(Reason("draining", f"the daemon has been draining for {since}: it starts nothing"))
    if (paused := _paused(job, facts)) is not None:
        found.append(paused)
    if facts.limit is None:
        found.append(Reason("limit", f"queue {job.spec.queue} is not configured any more: its jobs run one by one"))
    elif full and job.blocked is None and claimed is None:
        found.append(Reason("limit", f"queue {job.spec.queue} {_runs(facts)}", job.spec.queue))
    if facts.ahead and job.blocked is None and claimed is None:
        jobs = "job goes" if facts.ahead == 1 else "jobs go"
        count = f"at least {facts.ahead}" if facts.ahead >= MOST_COUNTED else str(facts.ahead)
        found.append(Reason("limit", f"{count} queued {jobs} first, by priority, age and turns"))
    return found or [Reason("starting", "nothing keeps it: it is about to start")]


def _runs(facts: Facts) -> str:
    return f"runs {facts.running} of at most {facts.limit} jobs"


def _paused(job: Job, facts: Facts) -> Reason | None:
    deed = None if facts.control is None else facts.control.paused
    if deed is None:
        return None
    why = f": {deed.reason}" if deed.reason else ""
    since = in_words(max(0.0, facts.now - deed.at))
    text = f"queue {job.spec.queue} was paused {since} ago by user {deed.by.uid}{why}"
    return Reason("paused", text, job.spec.queue)


def _behind(job: Job, facts: Facts) -> Reason:
    rival = facts.rival
    if rival is None:
        return Reason("key", f"it waits for its key {job.spec.key}, which is about to be its own")
    text = f"it waits for job {rival.id}, which has the same key {job.spec.key} and is {rival.state}"
    return Reason("key", text, rival.id)


def _lock(job: Job, facts: Facts) -> Reason:
    lock = facts.lock
    if lock is None or lock.holder is None:
        text = f"it waits for lock {job.spec.lock}, which is free: others that wait for it go first"
        return Reason("lock", text, job.spec.lock)
    since = "" if lock.acquired_at is None else f" for {in_words(max(0.0, facts.now - lock.acquired_at))}"
    match lock.holder:
        case RunHolder(holder, run):
            who = f"run {run} of job {holder}"
        case ClientHolder(_, uid, identity):
            who = f"process {identity.pid} of user {uid}"
    return Reason("lock", f"it waits for lock {lock.name}, held by {who}{since}", lock.name)


def _after(job: Job, parents: Parents) -> Reason:
    wanted = "to end" if job.spec.after_any_end else "to succeed"
    named = ", ".join(f"{parent.id} ({parent.state})" for parent in parents.some)
    others = parents.count - len(parents.some)
    more = f" and {others} {'other' if others == 1 else 'others'}" if others else ""
    jobs = "job" if parents.count == 1 else "jobs"
    return Reason("after", f"it waits for {jobs} {named}{more} {wanted}", parents.some[0].id if parents.some else None)


def _label(job: Job, facts: Facts) -> Reason:
    known = facts.label_limit
    if known is None or known.limit is None:
        return Reason("limit", f"it waits for the limit of the label {job.waits_on}, and is about to be let in")
    who = ", ".join(known.running[:3]) + (", …" if len(known.running) > 3 else "")
    count = len(known.running)
    running = f"; {'job' if count == 1 else 'jobs'} {who} {'runs' if count == 1 else 'run'} now" if count else ""
    at_once = "job" if known.limit == 1 else "jobs"
    return Reason("limit", f"of the label {known.label} at most {known.limit} {at_once} may run at once{running}")


def _running(job: Job, facts: Facts) -> list[Reason]:
    run = job.run
    assert run is not None
    found = []
    if job.stop is not None or job.state == "cancelling":
        goal = (job.reason or "cancelled") if job.stop in (None, "cancelled") else "restarted"
        found.append(Reason("stopping", f"it is to be {goal}: its run has been asked to end, and will be made to"))
    since = "" if run.started_at is None else f" for {in_words(max(0.0, facts.now - run.started_at))}"
    total = f"/{job.progress.total}" if job.progress.total else ""
    done = f", {job.progress.done}{total} done" if job.progress.done or total else ""
    beat = "" if facts.heartbeat_age is None else f"; its last sign of life was {in_words(facts.heartbeat_age)} ago"
    found.append(Reason("running", f"run {run.number} has been running{since} on seat {run.seat}{done}{beat}"))
    if run.fenced is not None:
        text = f"it is fenced ({run.fenced}): what it writes is refused, and its lock is kept until its process is gone"
        found.append(Reason("fenced", text))
    if facts.health != "ok":
        found.append(Reason("health", f"it is {facts.health}: {facts.health_reason}"))
    if facts.finding is not None and facts.finding.action != "leave":
        found.append(Reason("recovery", f"recovery would {facts.finding.action} it: {facts.finding.reason}"))
    return found


def _end(job: Job) -> str:
    if job.state == "cancelled" and job.reason and job.reason.startswith("cancelled by "):
        return f"it was {job.reason}"
    why = f": {job.reason}" if job.reason else ""
    return f"it has {'succeeded' if job.state == 'succeeded' else f'ended as {job.state}'}{why}"


def _ended(job: Job) -> list[Reason]:
    found = [Reason("outcome", _end(job))]
    if job.reason is not None and job.reason.endswith(NOT_OURS):
        usage = None if job.run is None else job.run.usage
        found.append(Reason("killed", suspicion(None if usage is None else usage.max_rss_kib)))
    if job.state != "succeeded" and job.checkpoint_seq:
        total = f" of {job.progress.total}" if job.progress.total else ""
        found.append(Reason("resume", f"resume goes on after item {job.progress.done}{total}"))
    elif job.state != "succeeded" and job.saved:
        found.append(Reason("resume", f"resume goes on behind step {job.saved}: their results are stored"))
    if job.progress.failed_items:
        count = job.progress.failed_items
        items = "item" if count == 1 else f"{count} items"
        found.append(Reason("resume", f"resume --failed-items takes the {items} that failed"))
    return found
