"""The steps of jobs that wait for the end of others.

A parent is there before its child is, and a child's parents never change: so there is no circle. What the end of a
parent means is decided in the commit of that end, for its children, theirs, and so on; where they are many, in the
commits that follow, between which others have their turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import structs
from msgspec.structs import replace

from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.vocabulary import LIVE_STATES
from jobkeepd.core.dependencies import MOST_PARENTS, disappoints, first_disappointment, has_parents, why_not
from jobkeepd.core.ending import ended_without_run
from jobkeepd.core.model import Blocked, Job
from jobkeepd.errors import TooManyParents
from jobkeepd.store.changes import NewJob
from jobkeepd.store.ledger import Ledger


class Parents:
    """Those of the jobs of one submit, by the ids of their children.

    Raises UnknownJob, AmbiguousJob, TooManyParents.
    """

    def __init__(self, jobs: Sequence[NewJob], ledger: Ledger) -> None:
        self._ledger = ledger
        self._named: dict[str, tuple[str, ...]] = {}  # as in `after`, but whole
        self._all: dict[str, tuple[str, ...]] = {}
        self._disappointed: dict[str, Job] = {}  # with whom it fails
        count = 0
        for new in jobs:
            if not has_parents(new.spec):
                continue
            named = self._named[new.id] = tuple(dict.fromkeys(ledger.find(ref).id for ref in new.spec.after))
            labelled = ledger.live_with(new.spec.after_label, MOST_PARENTS + 1) if new.spec.after_label else ()
            parents = self._all[new.id] = tuple(dict.fromkeys((*named, *labelled)))
            count += len(parents)
            if count > MOST_PARENTS:
                raise TooManyParents(MOST_PARENTS)

    def spec(self, new: NewJob) -> JobSpec:
        """With the whole ids of those that it names."""
        return structs.replace(new.spec, after=list(self._named[new.id])) if new.id in self._named else new.spec

    def blocked(self, new: NewJob) -> Blocked | None:
        """Whether it is not to start yet; or never: `settle` tells."""
        parents = [self._ledger.job(id) for id in self._all.get(new.id, ())]
        ended = first_disappointment(parents, new.spec)
        if ended is not None:
            self._disappointed[new.id] = ended
            return "after"
        return "after" if any(parent.state in LIVE_STATES for parent in parents) else None

    def settle(self, job: Job) -> Job:
        """Once it is in the ledger: whom it waits for is on record; or it has failed by what they have done."""
        parents = self._all.get(job.id)
        if parents is None:
            return job
        wait_for(job, parents, self._ledger)
        ended = self._disappointed.get(job.id)
        return job if ended is None else _fail(job, ended, job.created_at, self._ledger)


def wait_for(child: Job, parents: Sequence[str], ledger: Ledger) -> bool:
    """Put on record whom it waits for; whether there is anybody who has not ended."""
    live = []
    for id in parents:
        parent = ledger.job(id)
        if parent.state in LIVE_STATES:
            live.append(id)
            if not parent.awaited:
                ledger.put(parent, replace(parent, awaited=True))
    ledger.put_parents(child, parents, frozenset(live))
    return bool(live)


def wait_again(child: Job, ledger: Ledger) -> Blocked | None:
    """Somebody resumes it: it waits for those that live. What the others have done does not count any more."""
    if not has_parents(child.spec):
        return None
    known = [id for id in ledger.parents(child) if ledger.is_there(id)]
    return "after" if wait_for(child, known, ledger) else None


def still_waits(child: Job, ledger: Ledger) -> Blocked | None:
    """What it waits for once it has its key."""
    return "after" if has_parents(child.spec) and ledger.has_open_parents(child) else None


def parent_is_over(job: Job, at: float, ledger: Ledger, most: int) -> list[Job]:
    """Settle what its end means for those that wait for it, and for those that wait for them. -> all that failed by it.

    Not recursive: chains may be long. Those behind the first `most` are told by `settle_parents`.
    """
    failed: list[Job] = []
    todo = deque([job] if job.awaited else [])
    while todo and most > 0:
        parent = todo[0]
        children = ledger.children(parent.id, most)
        ledger.settle_children(parent.id, children)
        most -= len(children)
        for child in children:
            if child.state not in ("queued", "scheduled"):
                continue  # it was cancelled meanwhile
            if disappoints(parent, child.spec):
                over = _fail(child, parent, at, ledger)
                failed.append(over)
                if over.awaited:
                    todo.append(over)
            elif child.blocked == "after" and not ledger.has_open_parents(child):
                ledger.put(child, replace(child, blocked=None))
                ledger.log("unblocked", at, child, data={"on": "after"})
        if most > 0:
            todo.popleft()
    for parent in todo:
        ledger.put_unsettled(parent.id, at)
    return failed


def _fail(job: Job, parent: Job, at: float, ledger: Ledger) -> Job:
    failed = ended_without_run(job, "fail_for_good", at, why_not(parent))
    ledger.put(job, failed)
    ledger.log("failed", at, job, data={"reason": failed.reason, "after": parent.id})
    if job.spec.queue_timeout_s is not None:
        ledger.put_deadline(job, None)
    return failed
