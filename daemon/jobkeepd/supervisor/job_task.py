"""One active job as a task: claim, wait for the turn, run, decide what the end means, make it durable."""

from __future__ import annotations

from typing import Literal, Protocol

import anyio
import structlog
from msgspec.structs import replace

from jobkeepd.core.ending import Decision, NeverSent, NotStarted, RunEnd, decide, usage_of
from jobkeepd.core.model import Identity, Job, Progress, SavedCheckpoint, Usage
from jobkeepd.errors import IllegalTransition, StaleToken, StorageFull
from jobkeepd.runner.base import Launch, Signs
from jobkeepd.store.changes import ClaimRun, EndRun, MarkRunning, RevokeClaim, SaveProgress
from jobkeepd.supervisor.attempt import Attempt, Timeout
from jobkeepd.supervisor.places import Place, Turn
from jobkeepd.supervisor.workshop import EMPTY, Workshop

log = structlog.get_logger()
NO_ROOM_PAUSE = 1.0  # seconds before a start is tried again on a full disk
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
        self.signs: Signs | None = None  # of the run, from its start on
        self.never_sent = False
        self._sent_at = 0.0
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
            return await self._run("starting")
        return None

    async def rejoin(self) -> Job | None:
        """Like drive, for a run that an earlier daemon started."""
        with self.scope:
            return await self._run("running")
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
        claim = ClaimRun(
            job=self.job.id,
            seat=self.place.seat.name if self.place else "",
            epoch=workshop.store.epoch,
            cookie=workshop.cookie(),
            at=workshop.clock.now(),
        )
        try:
            claimed = await workshop.store.apply(claim)
        except StorageFull:
            log.warning("no_room_to_start", job=self.job.id)
            self._give_up()
            await anyio.sleep(NO_ROOM_PAUSE)
            return False
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

    async def _run(self, phase: Phase) -> Job:
        job, workshop = self.job, self._workshop
        assert self.place is not None
        rejoin = phase == "running"
        timeout = self._timeout(rejoin)
        self.attempt = Attempt(self.place.seat, job.ref, workshop.grace(job.spec.grace_s), timeout)
        self.signs = Signs(job.progress, moved_at=workshop.clock.monotonic())
        self._enter(phase)
        checkpoint = SavedCheckpoint()
        if job.checkpoint_seq:
            checkpoint = await workshop.store.checkpoint(job.id)
        is_function = job.spec.function is not None  # its worker has the environment already
        environment = EMPTY if is_function else await workshop.environments.get(job.environment)
        launch = Launch(job, checkpoint, environment, self.signs)
        self._sent_at = workshop.clock.now()  # that it has started is heard later, with a short run not before its end
        end = await self.attempt.run(launch, self._started, rejoin)
        self.never_sent = isinstance(end, NeverSent)
        if self.signs.unsaved:
            workshop.store.send(save_progress(job, self.signs.progress, workshop.clock.now()))
        self._lane.vacated(self)  # the next one starts while this end is being made durable
        return await self.conclude(end, self.attempt.timed_out)

    def _timeout(self, rejoin: bool) -> Timeout | None:
        """A run that was adopted has used up some of its time."""
        limit, run = self.job.spec.timeout_s, self.job.run
        if limit is None:
            return None
        since = run.started_at if rejoin and run is not None else None
        used = 0.0 if since is None else max(0.0, self._workshop.clock.now() - since)
        return Timeout(limit, max(0.0, limit - used))

    def _started(self, identity: Identity | None) -> None:
        self._workshop.store.send(
            MarkRunning(run=self.job.ref, at=self._sent_at, identity=identity)
        )
        self._enter("running")

    async def conclude(self, end: RunEnd, timed_out: float | None) -> Job:
        """Record the end; a wish to stop that was recorded meanwhile is heeded."""
        store = self._workshop.store
        policy = self._workshop.policy()
        started = self.phase == "running"
        while True:
            job = store.cached(self.job.id) or await store.get(self.job.id)
            if started and job.state == "queued":  # its MarkRunning is on the way, ahead of what we send now
                job = replace(job, state="cancelling" if job.stop == "cancelled" else "running")
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
