"""One run's life as this daemon sees it: since when, by which signs, and how they are judged."""

from __future__ import annotations

from jobkeepd.core.liveness import Live, Signs, judge
from jobkeepd.core.model import Job
from jobkeepd.supervisor.workshop import Workshop


class Life:
    """`began`: when the run was started; of one that was started by an earlier daemon, by the record of that."""

    def __init__(self, job: Job, workshop: Workshop, rejoin: bool) -> None:
        now = workshop.moment()
        recorded = job.run.began if rejoin and job.run is not None else None
        self.began = now if recorded is None or recorded.boot_id != now.boot_id else recorded
        self.signs = Signs(
            job.progress,
            since=now.monotonic,
            beats=job.spec.function is not None,
            checkpoint_seq=job.checkpoint_seq,
        )
        self._limits = workshop.limits(job.spec)
        self._clock = workshop.clock

    def judge(self) -> Live:
        return judge(self.signs, self._limits, self._clock.monotonic())

    def silent_for(self) -> float | None:
        """Seconds since the last heartbeat, or since there could have been one; None for a command."""
        return self.signs.silent_for(self._clock.monotonic())

    def elapsed(self) -> float:
        """Seconds since the run was started."""
        return self._clock.monotonic() - self.began.monotonic
