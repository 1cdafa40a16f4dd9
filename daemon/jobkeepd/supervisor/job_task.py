"""One active job as a task: claim, wait for the turn, run, decide what the end means, make it durable."""

from __future__ import annotations

from typing import Literal, Protocol

import anyio
import structlog
from msgspec.structs import replace

from jobkeepd.core.ending import Decision, NotStarted, RunEnd, decide, usage_of
from jobkeepd.core.model import Identity, Job, Progress, SavedCheckpoint, Usage
from jobkeepd.errors import IllegalTransition, StaleToken
from jobkeepd.runner.base import Launch, Signs
from jobkeepd.store.changes import ClaimRun, EndRun, MarkRunning, RevokeClaim, SaveProgress
from jobkeepd.supervisor.attempt import Attempt
from jobkeepd.supervisor.places import Place, Turn
from jobkeepd.supervisor.workshop import EMPTY, Workshop

log = structlog.get_logger()
Phase = Literal["claiming", "waiting", "starting", "running", "ended"]


class Lane(Protocol):
    """The queue the job came from."""

    def vacated(self, task: JobTask) -> None:
        """The job does not occupy its place any more."""


class JobTask:
    """Owns one job from its claim to the durable end of its run."""

    def __init__(self, job: Job, place: Place | None, turn: Turn | None, lane: Lane, workshop: Workshop) -> None:
        self.job = job
        self.place = place
        self.phase: Phase = "claiming"
        self.scope = anyio.CancelScope()
        self.attempt: Attempt | None = None
        self.turn = turn
        self._lane = lane
        self._workshop = workshop
        self._moved: anyio.Event | None = None  # made when somebody waits

    async def drive(self) -> Job | None:
        """The job as it is after its run's end; None when it never had the seat."""
        with self.scope:
            if not await self._claim():
                return None
            if self.turn is not None and not await self.turn.wait():
                await self._revoke()
                return None
            self._enter("starting")
            return await self._run(rejoin=False)
        return None

    async def rejoin(self) -> Job | None:
        """Like drive, for a run that an earlier daemon started."""
        with self.scope:
            self._enter("running")
            return await self._run(rejoin=True)
        return None

    async def fail_start(self, reason: str) -> Job | None:
        """There is no seat for the job and there never will be: record a run that never started."""
        if not await self._claim():
            return None
        return await self.conclude(NotStarted(reason, self._workshop.clock.now()), None)

    # -- from outside --------------------------------------------------------------------------------------------

    def withdraw(self) -> bool:
        """Give up a turn that has not come yet; True when nothing was or will be sent."""
        if self.turn is None or self.phase not in ("claiming", "waiting") or self.turn.granted:
            return False
        assert self.place is not None
        self.place.withdraw(self.turn)
        return True

    @property
    def signs(self) -> Signs | None:
        """The newest signs of life of the run, while it has its seat."""
        if self.place is None or self.phase not in ("starting", "running"):
            return None
        return self.place.seat.signs(self.job.ref)

    async def left(self, *phases: Phase) -> None:
        """Until the task is in none of `phases`."""
        while self.phase in phases:
            self._moved = self._moved or anyio.Event()
            await self._moved.wait()

    # -- steps ---------------------------------------------------------------------------------------------------

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    async def _claim(self) -> bool:
        workshop = self._workshop
        claimed = await workshop.store.apply(
            ClaimRun(
                job=self.job.id,
                seat=self.place.seat.name if self.place else "",
                epoch=workshop.store.epoch,
                cookie=workshop.cookie(),
                at=workshop.clock.now(),
            )
        )
        if claimed is None:  # cancelled meanwhile
            self._give_up()
            return False
        self.job = claimed
        self._enter("waiting")
        return True

    async def _revoke(self) -> None:
        await self._workshop.store.apply(RevokeClaim(run=self.job.ref))
        self._give_up()

    def _give_up(self) -> None:
        self._enter("ended")
        self._lane.vacated(self)

    async def _run(self, rejoin: bool) -> Job:
        job, workshop = self.job, self._workshop
        assert self.place is not None
        checkpoint = SavedCheckpoint()
        if job.checkpoint_seq:
            checkpoint = await workshop.store.checkpoint(job.id)
        is_function = job.spec.function is not None  # its worker has the environment already
        environment = EMPTY if is_function else await workshop.environments.get(job.environment)
        self.attempt = Attempt(self.place.seat, job.ref, workshop.grace(job.spec.grace_s), job.spec.timeout_s)
        end = await self.attempt.run(Launch(job, checkpoint, environment), self._started, rejoin)
        self._lane.vacated(self)  # the next one starts while this end is being made durable
        return await self.conclude(end, self.attempt.timed_out)

    def _started(self, identity: Identity | None) -> None:
        self._workshop.store.send(
            MarkRunning(run=self.job.ref, at=self._workshop.clock.now(), identity=identity)
        )
        self._enter("running")

    def _save_progress(self) -> None:
        signs = self.signs
        if signs is not None and signs.progress != self.job.progress:
            self._workshop.store.send(save_progress(self.job, signs.progress, self._workshop.clock.now()))

    async def conclude(self, end: RunEnd, timed_out: float | None) -> Job:
        """Record the end; a wish to stop that was recorded meanwhile is heeded."""
        store = self._workshop.store
        policy = self._workshop.policy()
        started = self.phase == "running"
        while True:
            job = store.cached(self.job.id) or await store.get(self.job.id)
            if started and job.state == "queued":  # its MarkRunning is on the way, ahead of what we send now
                job = replace(job, state="running")
            decision = decide(job, end, timed_out, policy)
            try:
                await store.apply(end_run(self.job, decision, usage_of(end)))
                break
            except IllegalTransition:
                continue  # the job's state has moved on: decide again
            except StaleToken:
                log.warning("stale_end", job=job.id, run=self.job.ref.number)
                break
        if self.place is not None:
            self.place.seat.settle(self.job.ref)
        self._enter("ended")
        return store.cached(self.job.id) or await store.get(self.job.id)


def end_run(job: Job, decision: Decision, usage: Usage | None) -> EndRun:
    return EndRun(
        run=job.ref,
        outcome=decision.outcome,
        state=decision.state,
        at=decision.at,
        status=decision.status,
        reason=decision.reason,
        error=decision.error,
        result=decision.result,
        usage=usage,
        charge=decision.charge,
        due_at=decision.due_at,
        from_start=decision.from_start,
    )


def save_progress(job: Job, progress: Progress, at: float) -> SaveProgress:
    return SaveProgress(
        run=job.ref,
        done=progress.done,
        total=progress.total,
        note=progress.note,
        tallies=progress.tallies,
        at=at,
    )
