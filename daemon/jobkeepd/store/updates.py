"""The UPDATE of a job's row: only the columns that a change, or many changes of one batch, have touched."""

from __future__ import annotations

from itertools import compress, product
from typing import Any, Final

from jobkeepd.core.model import Job
from jobkeepd.store import rows
from jobkeepd.store.run_steps import has_open_run

# The groups of columns that an update may set. A group that is left out spares its indexes.
_HOLD: Final = "fence = ?, run_open = ?, run_number = ?, run_seat = ?"
_RUN: Final = "run_since = ?, run = ?"
_PROGRESS: Final = "done = ?, total = ?, note = ?, tallies = ?, failed_items = ?, checkpoint_seq = ?, checkpoint_at = ?"
_SEEN: Final = "seen_at = ?"
_STATE: Final = (
    "state = ?, due_at = ?, started_at = ?, ended_at = ?, attempts = ?, only_failed = ?, stop = ?,"
    " key_slot = ?, blocked = ?, waits_on = ?, awaited = ?, line_at = ?, turn_at = ?,"
    " outcome = ?, reason = ?, error = ?"
)
_LAST: Final = "last_entry = ?"
_GROUPS: Final = (_HOLD, _RUN, _PROGRESS, _SEEN, _STATE, _LAST)
_GUARD: Final = "WHERE seq = ? AND state = ? AND fence = ? AND run_number = ? AND run_open = ?"
# One text for each choice of groups, made once: SQLite's statements are cached by their text.
UPDATES: Final = {
    wanted: f"UPDATE job SET {', '.join(compress(_GROUPS, wanted))} {_GUARD}"
    for wanted in product((False, True), repeat=len(_GROUPS))
}


def update(before: Job, after: Job, seen_at: float | None, last_entry: int | None) -> tuple[str, tuple[Any, ...]]:
    """The statement that makes `before`, as long as that is what is stored, into `after`; and its values."""
    values: list[Any] = []
    old, new = _hold(before), _hold(after)
    if hold := old != new:
        values += new
    if run := before.run is not after.run:
        values += _run(after)
    if progress := before.progress is not after.progress or before.checkpoint_seq != after.checkpoint_seq:
        p = after.progress
        tallies = rows.text(p.tallies) if p.tallies else None
        values += (p.done, p.total, p.note, tallies, p.failed_items, after.checkpoint_seq, after.checkpoint_at)
    if seen := seen_at is not None:
        values.append(seen_at)
    # never nothing at all: the guard must be asked
    columns = _state(after)
    last = last_entry is not None
    if state := _state(before) != columns or not (hold or run or progress or seen or last):
        values += columns
        if after.error is not None:
            values[-1] = rows.text(after.error)
    if last:
        values.append(last_entry)
    fence, run_open, number, _ = old
    values += (before.seq, before.state, fence, number, run_open)
    return UPDATES[hold, run, progress, seen, state, last], tuple(values)


def _hold(job: Job) -> tuple[int, bool, int, str | None]:
    run = job.run
    if run is None:
        return (job.fence, False, 0, None)
    return (job.fence, has_open_run(job), run.number, run.seat)


def _run(job: Job) -> tuple[float | None, str | None]:
    run = job.run
    if run is None:
        return (None, None)
    return (run.claimed_at if run.started_at is None else run.started_at, rows.text(run))


def _state(job: Job) -> tuple[Any, ...]:
    return (
        job.state, job.due_at, job.started_at, job.ended_at, job.attempts, job.only_failed, job.stop,
        job.key_slot, job.blocked, job.waits_on, job.awaited, job.line_at, job.turn_at,
        job.outcome, job.reason, job.error,
    )  # fmt: skip
