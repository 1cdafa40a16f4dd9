"""What must hold after every commit, and at the end; by the tables alone, and by what the judge has seen outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.lease import RunHolder
from jobkeepd.core.lifecycle import EVENTS, advance
from jobkeepd.core.model import Entry, Job
from jobkeepd.store.memory_ledger import MemoryLedger
from jobkeepd.store.run_steps import has_open_run

from .judge import Violation

if TYPE_CHECKING:
    from .host import Host

# In one commit a job goes one step; a start that was to be cancelled meanwhile goes two.
_STEPS = {(state, after) for state in ("scheduled", "queued", "running", "cancelling", *ENDED_STATES)
          for event in EVENTS if (after := advance(state, event)) is not None}  # fmt: skip
LEGAL = _STEPS | {("queued", "cancelling")}
CHARGED = ("failed", "lost", "interrupted")


class Watch:
    """Compares the tables with what they were. `checks` counts the comparisons."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self._jobs: dict[str, Job] = {}
        self._tokens: dict[str, int] = {}
        self.checks = 0

    def on_entries(self, entries: list[Entry]) -> None:
        """After each commit."""
        self.checks += 1
        told = {entry.job for entry in entries if entry.job is not None}
        for id, job in self._ledger.jobs.items():
            before = self._jobs.get(id)
            if before is not job:
                if before is not None:
                    self._compare(before, job, [entry for entry in entries if entry.job == id])
                elif job.state != "queued":
                    raise Violation(f"{id} was born {job.state}")
                self._jobs[id] = job
        self._look_at_locks()
        self._look_at_keys()
        if not told <= self._ledger.jobs.keys():
            raise Violation(f"the journal tells of {told - self._ledger.jobs.keys()}")

    def _compare(self, before: Job, job: Job, entries: list[Entry]) -> None:
        kinds = {entry.kind for entry in entries}
        if before.state != job.state and (before.state, job.state) not in LEGAL:
            raise Violation(f"{job.id}: {before.state} -> {job.state}")
        if before.state in ENDED_STATES and job.state != before.state and "resumed" not in kinds:
            raise Violation(f"{job.id} has left {before.state} without being resumed: {kinds}")
        if job.fence < before.fence:
            raise Violation(f"the fence of {job.id} has fallen")
        if before.run is not None and job.run is not None and before.run.number < job.run.number:
            if has_open_run(before):
                raise Violation(f"{job.id} was claimed while run {before.run.number} is open")
            if job.fence <= before.fence:
                raise Violation(f"the fence of {job.id} did not rise with run {job.run.number}")
        if job.checkpoint_seq < before.checkpoint_seq and before.stop != "restart_from_start":
            raise Violation(f"{job.id} has lost checkpoint {before.checkpoint_seq}")
        self._compare_attempts(before, job, kinds)

    def _compare_attempts(self, before: Job, job: Job, kinds: set[str]) -> None:
        charged = job.attempts - before.attempts
        if charged == 0 or ("resumed" in kinds and job.attempts == 0):
            return
        run = job.run
        if charged != 1 or "ended" not in kinds or run is None or run.outcome not in CHARGED:
            raise Violation(f"{job.id}: {before.attempts} -> {job.attempts} attempts by {sorted(kinds)}")
        is_poison = (run.reason or "").startswith("poison: ")  # three in a row that saved nothing
        if run.outcome == "interrupted" and before.stop != "restart_stalled" and not is_poison:
            raise Violation(f"{job.id} was charged for an interruption: {run.reason}")

    def _look_at_locks(self) -> None:
        jobs = self._ledger.jobs
        for lock in self._ledger.locks.values():
            if lock.token < self._tokens.get(lock.name, 0):
                raise Violation(f"the token of {lock.name} has fallen")
            self._tokens[lock.name] = lock.token
            if isinstance(lock.holder, RunHolder):
                holder = jobs[lock.holder.job]
                if holder.run is None or holder.run.number != lock.holder.run or not has_open_run(holder):
                    raise Violation(f"{lock.name} is held by {lock.holder}, which is over")
                if holder.run.lock_token != lock.token:
                    raise Violation(f"{lock.name}: its holder has another token")
        for job in jobs.values():
            if job.spec.lock is None or not has_open_run(job):
                continue
            held = self._ledger.locks[job.spec.lock].holder
            if held != RunHolder(job.id, job.run.number):  # type: ignore[union-attr]
                raise Violation(f"{job.id} runs without its lock, which is held by {held}")

    def _look_at_keys(self) -> None:
        seen: dict[tuple[str, int], str] = {}
        live = [job for job in self._ledger.jobs.values() if job.state not in ENDED_STATES]
        for job in live:
            if job.spec.key is not None:
                other = seen.setdefault((job.spec.key, job.key_slot), job.id)
                if other != job.id:
                    raise Violation(f"{job.id} and {other} have the key {job.spec.key} both")
        for job in live:
            if job.blocked == "key" and (job.spec.key or "", 0) not in seen:
                raise Violation(f"{job.id} waits for a key that nobody has")
            if job.blocked == "lock" and not self._somebody_moves(job):
                raise Violation(f"{job.id} waits for lock {job.spec.lock} in vain")

    def _somebody_moves(self, waiting: Job) -> bool:
        """The lock is held, or another one of the queue is about to take it."""
        lock = self._ledger.locks.get(waiting.spec.lock or "")
        if lock is not None and lock.holder is not None:
            return True
        return any(
            job.spec.lock == waiting.spec.lock and job.spec.queue == waiting.spec.queue
            and job.state == "queued" and job.blocked is None
            for job in self._ledger.jobs.values()
        )  # fmt: skip


def unsettled(ledger: MemoryLedger, host: Host) -> dict[str, int]:
    """Jobs that are neither terminal, nor wait their turn, nor run in a process that lives; with their runs."""
    return {
        job.id: 0 if job.run is None else job.run.number
        for job in ledger.jobs.values()
        if job.state in ("running", "cancelling") and job.id not in host.judge.live
    }


def finished(ledger: MemoryLedger, host: Host) -> None:
    """When all is over: what was achieved is what is on record, and nothing is left."""
    for job in ledger.jobs.values():
        if job.state not in ENDED_STATES:
            raise Violation(f"{job.id} is still {job.state}: {job.blocked or ''}")
        plan, run = host.plans[job.id], job.run
        if job.state == "succeeded":
            if run is None or (job.id, run.number) not in host.judge.achieved:
                raise Violation(f"{job.id} has succeeded, which nobody has seen")
            if plan.is_function and set(host.judge.items[job.id]) != set(range(plan.items)):
                raise Violation(f"{job.id} has left out items")
        for number in range(1, (run.number if run else 0) + 1):
            if host.judge.started[job.id, number] > 1:
                raise Violation(f"run {number} of {job.id} was started twice")
        if has_open_run(job):
            raise Violation(f"{job.id} has ended, and its run has not")
    if host.judge.live:
        raise Violation(f"processes live of {host.judge.live}")
    if held := [lock.name for lock in ledger.locks.values() if isinstance(lock.holder, RunHolder)]:
        raise Violation(f"locks are held by runs that are over: {held}")


def within_limits(host: Host, limits: dict[str, int]) -> None:
    """Never more of a queue at once than it may."""
    for queue, peak in host.judge.peaks.items():
        if peak > limits[queue]:
            raise Violation(f"{peak} jobs of queue {queue} ran at once")


