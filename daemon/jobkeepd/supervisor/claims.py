"""Which runs the marks of processes are of: those that are under way, and by the store those that have ended."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Container, Iterable

from jobkeepd.core.model import Job, Run
from jobkeepd.core.sight import Claim, Key, Mark
from jobkeepd.errors import AmbiguousJob, UnknownJob
from jobkeepd.store.base import Store
from jobkeepd.store.run_steps import has_open_run


class Claims:
    """`followed` are jobs with a run that is under way; `worker_cookie` tells a seat's own; `seats` are those that
    workers have now. Without a store nothing is known of runs that have ended.
    """

    def __init__(
        self,
        followed: Callable[[], Iterable[Job]],
        store: Store | None,
        worker_cookie: Callable[[str], str],
        seats: Callable[[], Container[str]],
    ) -> None:
        self._followed = followed
        self._store = store
        self._worker_cookie = worker_cookie
        self._seats = seats
        self._ended: dict[Mark, Claim | None] = {}  # it does not change any more

    def runs(self) -> dict[str, str]:
        """Seat -> the run that is under way there, of those that somebody follows."""
        return {job.run.seat: job.ref.id for job in self._followed() if job.run is not None and has_open_run(job)}

    def leaders(self) -> dict[Key, Claim]:
        jobs = [job for job in self._followed() if has_open_run(job)]
        found = [(job.run.identity, job.ref.id) for job in jobs if job.run is not None]
        return {(who.pid, who.start_ticks): Claim(run, True) for who, run in found if who is not None}

    async def of(self, marks: Iterable[Mark], slots: Container[str]) -> dict[Mark, Claim]:
        """Those that are proven ours."""
        wanted, live = set(marks), self._live()
        self._ended = {mark: claim for mark, claim in self._ended.items() if mark in wanted}
        found = {}
        for mark in wanted:
            run = live.get((mark.job, mark.number))
            if run is not None and _is_of(mark, run):
                found[mark] = Claim(f"{mark.job}.{mark.number}", True)
                continue
            claim = self._ended[mark] if mark in self._ended else await self._look_up(mark, slots)
            if claim is None or not claim.live:
                self._ended[mark] = claim
            if claim is not None:
                found[mark] = claim
        return found

    async def still_live(self, runs: Iterable[str]) -> frozenset[str]:
        """Which of these runs, by their names, have not ended yet."""
        live = {f"{job}.{number}" for job, number in self._live()}
        return frozenset({run for run in set(runs) if run in live or await self._is_live(run)})

    def _live(self) -> dict[tuple[str | None, int | None], Run]:
        """By job and number: those that somebody follows, of which the store need not be asked."""
        followed = [job for job in self._followed() if has_open_run(job)]
        return {(job.id, job.run.number): job.run for job in followed if job.run is not None}

    async def _is_live(self, run: str) -> bool:
        job, _, number = run.rpartition(".")
        if not job:
            return run.removeprefix("worker-") in self._seats()
        if self._store is None:
            return False
        try:
            latest = (await self._store.get(job)).run
        except (UnknownJob, AmbiguousJob):
            return False
        return latest is not None and str(latest.number) == number and latest.state != "ended"

    async def _look_up(self, mark: Mark, slots: Container[str]) -> Claim | None:
        if mark.job is not None and mark.number is not None:
            return await self._run(mark, mark.job, mark.number)
        if mark.seat is not None and hmac.compare_digest(self._worker_cookie(mark.seat).encode(), mark.cookie.encode()):
            return Claim(f"worker-{mark.seat}", mark.seat in slots or mark.seat in self._seats())
        return None

    async def _run(self, mark: Mark, job: str, number: int) -> Claim | None:
        if self._store is None:
            return None
        try:
            found = await self._store.get(job)
            runs = [found.run] if found.run is not None else []
            if found.id != job:
                return None
            if not runs or runs[0].number != number:
                runs = await self._store.runs(job)
        except (UnknownJob, AmbiguousJob):
            return None
        for run in runs:
            if run.number == number and _is_of(mark, run):
                return Claim(f"{job}.{number}", run.state != "ended")
        return None


def _is_of(mark: Mark, run: Run) -> bool:
    return hmac.compare_digest(run.cookie.encode(), mark.cookie.encode())
