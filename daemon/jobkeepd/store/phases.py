"""How rows of labels tell where their jobs are: more coarsely than by state, since each change of it is a write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.core.lifecycle import STATES
from jobkeepd.core.model import Job

ACTIVE: Final = "active"  # queued, running or cancelling: of those that run there are never many
PHASES: Final[Mapping[JobState, str]] = {
    state: ACTIVE if state in ("queued", "running", "cancelling") else state for state in STATES
}
LIVE_PHASES: Final = ("scheduled", ACTIVE)
INSERT: Final = "INSERT INTO label (key, value, queue, phase, job_seq) VALUES (?, ?, ?, ?, ?)"
MOVE: Final = "UPDATE label SET phase = ? WHERE key = ? AND value = ? AND queue = ? AND phase = ? AND job_seq = ?"


def new_rows(job: Job) -> Iterable[tuple[Any, ...]]:
    """For INSERT."""
    where = (job.spec.queue, PHASES[job.state], job.seq)
    return [(*label, *where) for label in job.spec.labels.items()]


def moves(before: Job, after: Job) -> Iterable[tuple[Any, ...]]:
    """For MOVE."""
    old, new = PHASES[before.state], PHASES[after.state]
    if old == new:
        return ()
    return [(new, *label, after.spec.queue, old, after.seq) for label in after.spec.labels.items()]
