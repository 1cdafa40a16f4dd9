"""Jobs as they are shown: with their runs and signs of life, and encoded once where nothing can change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Raw

from jobkeep.protocol import jobs as wire
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.model import Job, Run
from jobkeepd.rpc.frames import encode
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.views import job_view

_KEPT: Final = 512  # encoded replies
_KEPT_SIZE: Final = 16 << 10  # bytes of one, at most


class ShownJobs:
    """Of one daemon."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._encoded: dict[str, tuple[Job, Raw]] = {}

    def reply(self, job: Job) -> Raw | None:
        """A JobReply, encoded; None where its runs have to be read first."""
        kept = self._encoded.get(job.id)
        if kept is not None and kept[0] is job:
            return kept[1]
        runs = known_runs(job)
        if runs is None:
            return None
        encoded = Raw(encode(wire.JobReply(self._view(job, runs))))
        # Another change of an ended job (resume) makes another object of it.
        if job.state in ENDED_STATES and len(bytes(encoded)) <= _KEPT_SIZE:
            self._keep(job, encoded)
        return encoded

    async def view(self, job: Job) -> wire.Job:
        runs = known_runs(job)
        if runs is None:
            runs = await self._services.store.runs(job.id)
        return self._view(job, runs)

    def _view(self, job: Job, runs: Sequence[Run]) -> wire.Job:
        services = self._services
        return job_view(job, runs, services.jobs.live(job), services.clock.now())

    def _keep(self, job: Job, encoded: Raw) -> None:
        if len(self._encoded) >= _KEPT:
            del self._encoded[next(iter(self._encoded))]
        self._encoded[job.id] = (job, encoded)


def known_runs(job: Job) -> Sequence[Run] | None:
    """The runs of a job that has at most one; None where there are more than the job itself holds."""
    if job.run is None:
        return ()
    return (job.run,) if job.run.number == 1 else None
