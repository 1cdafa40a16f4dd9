"""One active job as a task: claim, wait for the turn, run, decide what the end means, make it durable."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Literal, Protocol

import anyio
import structlog
from msgspec import Struct
from msgspec.structs import replace

from jobkeep.protocol.vocabulary import OnLost, RunOutcome
from jobkeepd.core.ending import (
    Gone,
    NeverSent,
    NotStarted,
    Recovered,
    RunEnd,
    WorkerDied,
    decide,
    usage_of,
)
from jobkeepd.core.liveness import Live
from jobkeepd.core.model import Identity, Job, SavedCheckpoint
from jobkeepd.errors import IllegalTransition, StaleToken, StartFailed, StorageFull
from jobkeepd.runner.base import Launch
from jobkeepd.runner.current import finished
from jobkeepd.store.changes import ClaimRun, MarkRunning, RevokeClaim, SaveCheckpoint, SaveStep
from jobkeepd.store.run_steps import has_open_run
from jobkeepd.supervisor.attempt import Attempt, Stop, Timeout
from jobkeepd.supervisor.life import Life
from jobkeepd.supervisor.outcomes import as_recovered, end_run, save_progress
from jobkeepd.supervisor.places import Place, Turn
from jobkeepd.supervisor.words import reported
from jobkeepd.supervisor.workshop import Given, Workshop

log = structlog.get_logger()
NO_ROOM_PAUSE = 1.0  # seconds before a start is tried again on a full disk
NO_STEPS: Sequence[str] = ()
Phase = Literal["claiming", "waiting", "starting", "running", "ended"]


class Prepared(Struct, frozen=True):
    """What a run needs beside its job."""

    checkpoint: SavedCheckpoint
    steps: Sequence[str]
    given: Given


class Lane(Protocol):
    """The queue the job came from."""

    def vacated(self, task: JobTask) -> None:
        """The job does not occupy its place any more."""


class JobTask:
    """Owns one job from its claim to the durable end of its run."""

    def __init__(
        self, job: Job, place: Place | None, turn: Turn | None, lane: Lane, workshop: Workshop, *, adopted: bool = False
    ) -> None:
        self.job = job
        self.place = place
        self.phase: Phase = "claiming"
        self.scope = anyio.CancelScope()
        self.attempt: Attempt | None = None
        self.life: Life | None = None  # of the run, from its start on
        self.outcome: RunOutcome | None = None  # of the run, once it is durable
        self.never_sent = False
        self.is_withdrawn = False
        self.turn = turn
        self._recovered: Recovered | None = None
        self._adopted = adopted
        self._sent_at = 0.0
        self._lane = lane
        self._workshop = workshop
        self._moved: anyio.Event | None = None  # made when somebody waits

    async def drive(self) -> Job | None:
        """The job as it is after its run's end; None when it never had the seat."""
        with self.scope:
            if not await self._claim():
                return None
            prepared = await self._prepare()  # from the turn on nothing is waited for before the start is sent
            granted = self.turn is None or await self.turn.wait()
            if self.is_withdrawn or not granted:
                await self._revoke()
                return None
            try:
                if self.job.spec.credentials:
                    self._workshop.credentials.lay_out(self.job.id, self.job.spec.credentials)
            except StartFailed as failed:
                self._lane.vacated(self)
                return await self.conclude(NotStarted(str(failed), self._workshop.clock.now()), None)
            return await self._run("starting", prepared)
        return None

    async def rejoin(self) -> Job | None:
        """Like drive, for a run that an earlier daemon started."""
        with self.scope:
            return await self._run("running", await self._prepare())
        return None

    async def fail_start(self, reason: str) -> Job | None:
        """There is no seat for the job and there never will be: record a run that never started."""
        if not await self._claim():
            return None
        return await self.conclude(NotStarted(reason, self._workshop.clock.now()), None)

    # -- from outside --------------------------------------------------------------------------------------------

    @property
    def is_stopping(self) -> bool:
        """Its run is being ended, by whomever."""
        return self.job.stop is not None or (self.attempt is not None and self.attempt.stopping)

    def withdraw(self) -> bool:
        """Take the start back, and with it the claim; True when nothing was or will be sent."""
        if self.place is None or self._adopted or self.phase not in ("claiming", "waiting"):
            return False
        self.is_withdrawn = True
        if self.turn is not None:
            self.place.withdraw(self.turn)
        return True

    def live(self) -> Live | None:
        """None before there is a run."""
        return None if self.life is None else self.life.judge()

    async def recover(self, reason: str, then: OnLost | None) -> None:
        """End the run for sure, as one that was lost; returns once that is durable."""
        self._recovered = Recovered(self._workshop.clock.now(), reason, then)
        if self.attempt is not None:
            await self.attempt.stop(Stop("recovery", reason), force=True)
        await self.ended()

    def was_fenced(self, fenced: Job) -> None:
        """It is on record with another fence now, under which its end is recorded."""
        self.job = fenced

    async def ended(self) -> None:
        """Until the end of its run is durable, or its claim is taken back."""
        await self.left("claiming", "waiting", "starting", "running")

    def close(self) -> None:
        """Its task is over, whatever became of the run."""
        self._enter("ended")

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
            now=workshop.moment(),
            ttl_s=workshop.locks.ttl,
            limits=workshop.label_limits,
        )
        try:
            claimed = await workshop.store.apply(claim)
        except StorageFull:
            log.warning("no_room_to_start", job=self.job.id)
            self._give_up()
            await anyio.sleep(NO_ROOM_PAUSE)
            return False
        if claimed is None:  # cancelled meanwhile, or its lock or label is others'
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

    async def _prepare(self) -> Prepared:
        job, workshop = self.job, self._workshop
        checkpoint, steps = SavedCheckpoint(), NO_STEPS
        is_function = job.spec.function is not None  # its worker has the variables already
        if job.checkpoint_seq:
            checkpoint = await workshop.store.checkpoint(job.id)
        if is_function and job.ref.number > 1 and not self._adopted:
            steps = await workshop.store.steps(job.id)
        kept = None if is_function and not job.spec.secrets else job.environment
        return Prepared(checkpoint, steps, await workshop.given(job, kept))

    async def _run(self, phase: Phase, prepared: Prepared) -> Job:
        job, workshop = self.job, self._workshop
        assert self.place is not None
        rejoin = phase == "running"
        life = self.life = Life(job, workshop, rejoin)
        limit = job.spec.timeout_s  # a run that was adopted has used up some of it
        timeout = None if limit is None else Timeout(limit, max(0.0, limit - life.elapsed()))
        what, grace = job.spec.function or " ".join(job.spec.command or ()), workshop.grace(job.spec.grace_s)
        self.attempt = Attempt(self.place.seat, job.ref, grace, timeout, what, workshop.audit)
        self._enter(phase)
        given = prepared.given
        launch = Launch(job, prepared.checkpoint, given.variables, life.signs, prepared.steps, given.arguments)
        self._sent_at = workshop.clock.now()  # that it has started is heard later, with a short run not before its end
        end = as_recovered(await self.attempt.run(launch, self._started, rejoin), self._recovered)
        self.never_sent = isinstance(end, NeverSent)
        if life.signs.unsaved:
            workshop.store.send(save_progress(self.job, life.signs.progress, workshop.clock.now()))
        self._lane.vacated(self)  # the next one starts while this end is being made durable
        return await self.conclude(end, self.attempt.timed_out)

    def _started(self, identity: Identity | None) -> None:
        assert self.life is not None
        running = MarkRunning(run=self.job.ref, at=self._sent_at, now=self.life.began, identity=identity)
        self._workshop.store.send(running)
        self._enter("running")

    async def _last_words(self, end: RunEnd) -> RunEnd:
        """A worker that was cut off from us has left on disk what it could not say."""
        left, now = self._workshop.spool.take(self.job.ref.id), self._workshop.clock.now()
        with contextlib.suppress(StaleToken):
            for change in reported(left, now):
                await self._keep(change)
        if left.finish is None or left.finish.fence != self.job.ref.fence:
            return end
        return finished(left.finish, now)

    async def _keep(self, change: SaveStep | SaveCheckpoint) -> None:
        """Store what its sender was told to be durable, once there is room."""
        while True:
            try:
                await self._workshop.store.apply(change)
            except StorageFull:
                await anyio.sleep(NO_ROOM_PAUSE)
            else:
                return

    async def conclude(self, end: RunEnd, timed_out: float | None) -> Job:
        """Record the end; a wish to stop that was recorded meanwhile is heeded."""
        store = self._workshop.store
        policy = self._workshop.policy()
        cut_off = isinstance(end, WorkerDied | Gone | Recovered) and self.job.spec.function is not None
        if cut_off:
            end = await self._last_words(end)
        started = self.phase == "running"
        if self.job.spec.credentials:  # before the end is on record: another run may begin then
            self._workshop.credentials.remove(self.job.id)
        while True:
            job = store.cached(self.job.id) or await store.get(self.job.id)
            if started and job.state == "queued":  # its MarkRunning is on the way, ahead of what we send now
                job = replace(job, state="cancelling" if job.stop == "cancelled" else "running")
            decision = decide(job, end, timed_out, policy)
            try:
                await store.apply(end_run(self.job, decision, usage_of(end)))
                self.outcome = decision.outcome
                if cut_off:
                    self._workshop.spool.discard(self.job.ref.id)
                break
            except IllegalTransition:
                continue  # the job's state has moved on: decide again
            except StaleToken:
                job = await store.get(self.job.id)
                if has_open_run(job) and job.ref.number == self.job.ref.number:
                    self.job = job  # it was fenced meanwhile
                    continue
                log.warning("stale_end", job=job.id, run=self.job.ref.number)
                break
        if self.place is not None:
            self.place.seat.settle(self.job.ref)
        self._enter("ended")
        return store.cached(self.job.id) or await store.get(self.job.id)
