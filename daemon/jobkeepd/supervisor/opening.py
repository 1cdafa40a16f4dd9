"""Makes a session ready for whoever has its lease: checks it, ends what is dead, starts another one, waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio
import structlog
from msgspec.structs import replace

from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.ending import describe_status
from jobkeepd.core.model import Job, Peer
from jobkeepd.core.sessions import (
    QUEUE,
    SETTLED_AFTER,
    Probe,
    Process,
    Seen,
    Terms,
    age_of,
    decide_open,
    key_of,
)
from jobkeepd.errors import KeyTaken, SessionFailed
from jobkeepd.runner.base import Target
from jobkeepd.store.changes import NewJob, Note
from jobkeepd.store.run_steps import has_open_run
from jobkeepd.supervisor.feed import Subscription
from jobkeepd.supervisor.session_ports import SessionTools, last_job, spec_of
from jobkeepd.supervisor.settings import SessionSettings
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()
_PAUSE: Final = 0.25  # seconds between two looks, unless something is heard of the job
_CLEAN_WITHIN: Final = 5.0


class Opening:
    """One opener's look at things so far."""

    def __init__(self, now: float) -> None:
        self.starts = 0
        self.failures = 0
        self.last = ""  # why the last process was ended, or how it has ended
        self.own: str | None = None  # the job that was started for it
        self._since = now
        self._phase: tuple[Process, str | None] | None = None

    def waited(self, process: Process, job: Job | None, now: float) -> float:
        """Seconds that the same process has been in the same phase."""
        phase = (process, None if job is None or job.run is None else job.ref.id)
        if phase != self._phase:
            self._phase, self._since, self.failures = phase, now, 0
        return now - self._since


class Doorkeeper:
    """Of one session. Whoever has the lease is let in, one after the other."""

    def __init__(self, name: str, settings: SessionSettings, tools: SessionTools, workshop: Workshop) -> None:
        self.busy = anyio.Lock()
        self.complaint: str | None = None  # of the last check
        self._name = name
        self._settings = settings
        self._tools = tools
        self._workshop = workshop
        self._spec = spec_of(name, settings)
        self._terms = Terms(settings.start_timeout, 2 * settings.grace + tools.slack, settings.max_age)
        self._ready: str | None = None  # the run that was seen ready
        self._failed_at: float | None = None
        self._failure: SessionFailed | None = None

    def was_ready(self, job: Job) -> bool:
        return job.run is not None and job.ref.id == self._ready

    @property
    def is_opening(self) -> bool:
        return self.busy.statistics().locked

    async def let_in(self, peer: Peer, asked: float) -> Job:
        """The job that runs the session, once that is ready. Raises SessionFailed: also to those who have asked before
        an attempt failed, so that many of them are no more than one start.
        """
        async with self.busy:
            if self._failure is not None and self._failed_at is not None and self._failed_at > asked:
                raise SessionFailed(self._name, self._failure.reason, self._failure.job)
            try:
                return await self._ensure(peer)
            except SessionFailed as error:
                self._failure, self._failed_at = error, self._workshop.clock.monotonic()
                log.warning("session_failed", session=self._name, reason=error.reason, job=error.job)
                raise

    async def _ensure(self, peer: Peer) -> Job:
        opening = Opening(self._workshop.clock.monotonic())
        with self._hearing() as heard:
            while True:
                job = await self._workshop.store.holder(key_of(self._name))
                seen = self._look(job, opening)
                step = decide_open(seen, self._terms)
                if step.do == "check":
                    assert job is not None
                    seen = await self._checked(seen, job, opening)
                    step = decide_open(seen, self._terms)
                if step.do == "hand_out":
                    assert job is not None
                    return job
                if step.do == "start":
                    await self._start(opening)
                elif step.do == "end":
                    assert job is not None
                    await self._end(job, step.reason, peer, opening)
                elif step.do == "fail":
                    raise SessionFailed(self._name, step.reason, opening.own or (job.id if job else None))
                elif step.do == "wait":
                    self._refuse_held(job)
                    await _news(heard, job)
                await self._learn_end(opening)

    @contextmanager
    def _hearing(self) -> Iterator[Ear]:
        ear = Ear()
        subscription = self._tools.feed.subscribe(ear.wake)
        ear.subscription = subscription
        try:
            yield ear
        finally:
            self._tools.feed.unsubscribe(subscription)

    # -- looking -----------------------------------------------------------------------------------------------------

    def _look(self, job: Job | None, opening: Opening) -> Seen:
        if job is not None and job.spec.queue != QUEUE:
            raise SessionFailed(self._name, f"job {job.id} has its key, {key_of(self._name)}", job.id)
        process = self._tools.process(job)
        now = self._workshop.moment()
        waited = opening.waited(process, job, now.monotonic)
        return Seen(
            process=process,
            age=age_of(job, now),
            waited=waited,
            was_ready=job is not None and self.was_ready(job),
            failures=opening.failures,
            changed=job is not None and self._has_changed(job),
            starts=opening.starts,
            last=opening.last,
        )

    def _has_changed(self, job: Job) -> bool:
        return any(getattr(job.spec, name) != getattr(self._spec, name) for name in ("command", "cwd", "env"))

    async def _checked(self, seen: Seen, job: Job, opening: Opening) -> Seen:
        settings = self._settings
        complaint, was_ready = "", seen.was_ready
        if not was_ready:
            complaint = await self._ask(settings.ready or settings.health, seen, job)
            was_ready = not complaint
        if was_ready and settings.health is not None and (seen.was_ready or settings.ready is not None):
            complaint = await self._ask(settings.health, seen, job)
        if was_ready:
            self._ready = job.ref.id
        opening.failures = opening.failures + 1 if complaint else 0
        self.complaint = complaint
        age = age_of(job, self._workshop.moment())  # by now
        return replace(seen, complaint=complaint, failures=opening.failures, was_ready=was_ready, age=age)

    async def _ask(self, probe: Probe | None, seen: Seen, job: Job) -> str:
        if probe is None:
            return "" if seen.age >= SETTLED_AFTER else f"it has not run for {SETTLED_AFTER:g} s yet"
        env = {**job.spec.env, "JOBKEEP_SESSION_PID": str(_pid_of(job))}
        target = Target(job.ref, job.spec.cwd or self._workshop.default_cwd, env, self._tools.base)
        return await self._tools.probes.check(probe, target, self._settings.health_timeout)

    # -- acting ------------------------------------------------------------------------------------------------------

    def _refuse_held(self, job: Job | None) -> None:
        """One that is queued is started when that is possible again, for whoever comes then."""
        held = self._tools.jobs.held()
        if held is not None and job is not None and job.state == "queued" and not has_open_run(job):
            raise SessionFailed(self._name, f"it waits for its start: {held}", job.id)

    async def _start(self, opening: Opening) -> None:
        held = self._tools.jobs.held()
        if held is not None:
            raise SessionFailed(self._name, f"nothing is started: {held}", None)
        if not (opening.starts or opening.last):
            last = await last_job(self._workshop.store, self._name)
            if last is not None and last.state != "cancelled":  # it has died by itself
                await self._clean_after(last)
        id = self._tools.new_id()
        outcome = await self._tools.jobs.submit(
            NewJob(id, self._spec, self._tools.environment[0]), self._tools.environment, self._tools.owner
        )
        if isinstance(outcome, KeyTaken):
            return  # somebody has resumed an earlier job of the session meanwhile
        if isinstance(outcome, Exception):
            raise outcome
        opening.starts += 1
        opening.own, opening.last = id, ""
        log.info("session_started", session=self._name, job=id)

    async def _end(self, job: Job, reason: str, peer: Peer, opening: Opening) -> None:
        """Until nothing of it is left."""
        opening.last = reason
        log.warning("session_ended", session=self._name, job=job.id, reason=reason)
        said = {"session": self._name, "reason": reason}
        self._workshop.store.send(Note(kind="session_dead", at=self._workshop.clock.now(), job=job.id, data=said))
        if not await self._tools.jobs.end(job.id, None, reason, self._terms.end_timeout):
            within = self._terms.end_timeout
            raise SessionFailed(self._name, f"{reason}; and it has not ended within {within:g} s", job.id)
        await self._clean_after(job)

    async def _clean_after(self, job: Job) -> None:
        with anyio.move_on_after(_CLEAN_WITHIN):
            await self._tools.orphans.clean_after(self._name, await self._workshop.store.get(job.id))

    async def _learn_end(self, opening: Opening) -> None:
        """How the process that was started for this opener has ended, if it has."""
        if opening.own is None or opening.last:
            return
        job = await self._workshop.store.get(opening.own)
        if job.state in ENDED_STATES:
            opening.last = f"it ended before it was ready: {self._how(job)}"
            await self._clean_after(job)

    def _how(self, job: Job) -> str:
        run = job.run
        how = job.reason or (describe_status(run.status) if run and run.status is not None else job.state)
        line = self._tools.probes.last_line(job.ref) if run is not None else None
        return f"{how}; its last line: {line}" if line else how


def _pid_of(job: Job) -> int:
    return job.run.identity.pid if job.run is not None and job.run.identity is not None else 0


class Ear:
    """Hears of one job, and of time passing."""

    subscription: Subscription

    def __init__(self) -> None:
        self._event = anyio.Event()

    def wake(self) -> None:
        self._event.set()

    async def heard(self, job: str) -> None:
        """Until something was committed that is about the job."""
        while True:
            await self._event.wait()
            self._event = anyio.Event()
            if any(entry.job == job for entry in self.subscription.take()):
                return


async def _news(ear: Ear, job: Job | None) -> None:
    with anyio.move_on_after(_PAUSE):
        if job is None:
            await anyio.sleep_forever()
        else:
            await ear.heard(job.id)
