"""What was found of each run that was open when the last daemon ended, and what that makes of its end."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from jobkeep.protocol.worker import FinishParameters
from jobkeepd.core.ending import Exited, Gone, NeverSent, NotStarted, Rebooted, RunEnd, WorkerDied
from jobkeepd.core.model import Job, Run
from jobkeepd.core.recovery import Begun, Evidence, Recovery, decide_recovery
from jobkeepd.runner.base import FoundSlot
from jobkeepd.runner.current import finished
from jobkeepd.runner.environment import worker_run


class Case(Struct, frozen=True):
    """One open run, what was found of it, and what becomes of it."""

    job: Job
    run: Run
    slot: FoundSlot | None
    finish: FinishParameters | None
    owner: str | None  # the run that its seat's files are of
    recovery: Recovery

    @property
    def order(self) -> tuple[bool, float, float]:
        """Of the runs of a seat, who has it before who waits behind: what has begun, then as they were claimed."""
        begun = self.run.state != "starting" or (
            self.slot is not None and self.slot.begun is not None and self.job.ref.id in self.slot.begun
        )
        return (not begun, *self.run.order)


class Found:
    """What was found in the runtime directory."""

    def __init__(self, found: Sequence[FoundSlot]) -> None:
        self.all = found
        self._by_run = {each.run: each for each in found if each.run is not None}
        self._living = {each.name: each for each in found if each.slot is not None}

    def at(self, seat: str) -> list[FoundSlot]:
        """The slot, and what else there is of its runs."""
        return [each for each in self.all if each.name == seat]

    def of(self, job: Job) -> FoundSlot | None:
        """What there is of a run: its own records, or its worker's, else its living seat."""
        run = job.run
        assert run is not None
        own = self._by_run.get(job.ref.id) or self._by_run.get(worker_run(run.seat))
        return own or self._living.get(run.seat)


def case_of(
    job: Job, found: Found, finish: FinishParameters | None, owner: str | None, *, same_boot: bool
) -> Case:
    assert job.run is not None
    slot = found.of(job)
    if finish is not None and finish.fence != job.run.fence:
        finish = None
    evidence = _evidence(job, slot, finish is not None, same_boot)
    return Case(job, job.run, slot, finish, owner, decide_recovery(job, evidence))


def _evidence(job: Job, slot: FoundSlot | None, result_spooled: bool, same_boot: bool) -> Evidence:
    if slot is None:
        return Evidence(same_boot, False, False, False, None, result_spooled)
    # a worker's slot has accepted the worker, not the run; whether the run reached it, the worker itself will say
    accepted = slot.run is not None and slot.run in (job.ref.id, worker_run(slot.name))
    return Evidence(
        same_boot=same_boot,
        slot_alive=slot.slot is not None,
        accepted=accepted,
        leader_alive=slot.execution is not None and slot.exit is None,
        exit=slot.exit,
        result_spooled=result_spooled,
        refused=slot.failed is not None,
        silent=slot.silent,
        begun=_begun(job, slot.begun) if job.spec.function else None,
    )


def _begun(job: Job, by_worker: tuple[str, ...] | None) -> Begun | None:
    if by_worker is None:
        return None
    if job.ref.id not in by_worker:
        return "never"
    return "last" if by_worker[-1] == job.ref.id else "earlier"


def end_of(case: Case, now: float) -> RunEnd:
    """How the run has ended, of one that is not adopted."""
    job, slot, finish = case.job, case.slot, case.finish
    match case.recovery.fate:
        case "record_result":
            assert finish is not None
            return finished(finish, now)
        case "record_failure":
            assert slot is not None and slot.failed is not None
            return NotStarted(str(slot.failed), now)
        case "record_exit":
            assert slot is not None and slot.exit is not None
            if job.spec.function:
                return WorkerDied(slot.exit)
            return Exited(slot.exit, terminated=job.stop is not None)
        case "requeue":
            return NeverSent(now)
        case "rebooted":
            return Rebooted(now)
        case _:
            return Gone(now)


def as_running(job: Job) -> Job:
    """As it is once it is on record that its run had begun."""
    run = job.run
    assert run is not None
    if run.state != "starting":
        return job
    state = "cancelling" if job.stop == "cancelled" else "running"
    return replace(job, state=state, run=replace(run, state="running", started_at=run.claimed_at))
