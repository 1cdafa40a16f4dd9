"""The steps of limits per label: who waits for one, and who is let in when a place is free.

Whoever is let in, or runs, lets the next one in when it is through, or when there is room for both: so as long as
somebody waits there is somebody who will wake him, and nobody has to count those that wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from jobkeepd.core.label_limits import full, limited, tags
from jobkeepd.core.model import Job, JobSpec
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.queue_changes import UnblockLimited


def wait_for_limit(job: Job, limits: Mapping[str, int], at: float, ledger: Ledger) -> bool:
    """Whether it has to, instead of being claimed."""
    name = full(job.spec.labels, limits, ledger.running)
    if name is None:
        return False
    ledger.put(job, replace(job, blocked="limit", waits_on=name))
    ledger.log("blocked", at, job, data={"on": "limit", "label": name})
    for other in tags(job.spec.labels):  # it may have been let in for one of these
        if other != name:
            let_in(other, at, ledger)
    return True


def let_in(name: str, at: float, ledger: Ledger) -> None:
    """The first of each queue that waits for it may try: a queue that stands still must not keep the others."""
    for job in ledger.first_limited(name):
        ledger.put(job, replace(job, blocked=None, waits_on=None))
        ledger.log("unblocked", at, job, data={"on": "limit", "label": name})


def let_in_after(job: Job, at: float, ledger: Ledger) -> None:
    """The job does not run, or is not about to any more."""
    for name in tags(job.spec.labels):
        let_in(name, at, ledger)


def let_in_beside(job: Job, limits: Mapping[str, int], at: float, ledger: Ledger) -> None:
    """The job has just been claimed: if there is room for more, or no limit any more, the next one may try."""
    bounds = dict(limited(job.spec.labels, limits))
    for name in tags(job.spec.labels):
        if name not in bounds or ledger.running(name) < bounds[name]:
            let_in(name, at, ledger)


class Room:
    """Which of the jobs of one submit may try at once. The others would be claimed in vain, one by one."""

    def __init__(self, limits: Mapping[str, int], ledger: Ledger) -> None:
        self._limits = limits
        self._ledger = ledger
        self._let_in: Counter[tuple[str, str]] = Counter()  # per queue: one that stands still keeps nobody elsewhere

    def full(self, spec: JobSpec) -> str | None:
        """The label that a new job has to wait for."""

        def running(name: str) -> int:
            return self._ledger.running(name) + self._let_in[spec.queue, name]

        name = full(spec.labels, self._limits, running)
        if name is None:
            self._let_in.update((spec.queue, each) for each, _ in limited(spec.labels, self._limits))
        return name


def unblock_limited(change: UnblockLimited, ledger: Ledger) -> str | None:
    names = [name for name in ledger.awaited() if name > change.after]
    for name in names[: change.limit]:
        let_in(name, change.at, ledger)
    return names[change.limit - 1] if len(names) > change.limit else None
