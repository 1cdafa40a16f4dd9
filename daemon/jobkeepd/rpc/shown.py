"""Jobs as they are shown, with their runs and signs of life. What does not change is made only once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Raw

from jobkeep.protocol import jobs as wire
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.model import Job, Run
from jobkeepd.rpc.frames import encode
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.views import job_view, refreshed

_KEPT: Final = 512  # replies
_KEPT_SIZE: Final = 16 << 10  # bytes of one, at most


class ShownJobs:
    """Of one daemon. What is kept belongs to one Job object: every change of a job makes another one."""

    def __init__(self, services: Services) -> None:
        self._jobs = services.jobs
        self._store = services.store
        self._clock = services.clock
        self._kept: dict[str, tuple[Job, wire.Job, Raw | None]] = {}

    def reply(self, job: Job) -> Raw | None:
        """A JobReply, encoded; None where its runs have to be read first."""
        kept = self._kept.get(job.id)
        if kept is not None and kept[0] is job:
            _, view, encoded = kept
            return encoded or self._encoded(self._refreshed(view, job))
        runs = known_runs(job)
        if runs is None:
            return None
        view = self._view(job, runs)
        encoded = self._encoded(view)
        if len(bytes(encoded)) <= _KEPT_SIZE:
            self._keep(job, view, encoded if job.state in ENDED_STATES else None)
        return encoded

    async def view(self, job: Job) -> wire.Job:
        runs = known_runs(job)
        return self._view(job, await self._store.runs(job.id) if runs is None else runs)

    def _view(self, job: Job, runs: Sequence[Run]) -> wire.Job:
        return job_view(job, runs, self._jobs.live(job), self._clock.now())

    def _refreshed(self, view: wire.Job, job: Job) -> wire.Job:
        return refreshed(view, job, self._jobs.live(job), self._clock.now())

    def _encoded(self, view: wire.Job) -> Raw:
        return Raw(encode(wire.JobReply(view)))

    def _keep(self, job: Job, view: wire.Job, encoded: Raw | None) -> None:
        if job.id not in self._kept and len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[job.id] = (job, view, encoded)


def known_runs(job: Job) -> Sequence[Run] | None:
    """The runs of a job that has at most one; None where there are more than the job itself holds."""
    if job.run is None:
        return ()
    return (job.run,) if job.run.number == 1 else None
