"""How far a job is: a bar with note and time left, and its tallies."""

from __future__ import annotations

from dataclasses import dataclass

from jobkeep.protocol.jobs import Job, Progress
from jobkeep.web.model.words import number
from jobkeep.wording import left


@dataclass(frozen=True, slots=True)
class Bar:
    """`total` None: nobody knows how much there is, so that the bar only says that something happens."""

    done: int
    total: int | None
    counts: str
    percent: str
    left: str
    note: str
    moving: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """`failed`: those items are listed with their errors."""

    label: str
    count: str
    failed: bool


def bar(job: Job) -> Bar | None:
    """None where there is nothing to tell."""
    progress, running = job.progress, job.state in ("running", "cancelling")
    if not (progress.done or progress.total or progress.note or running):
        return None
    done, total = progress.done, progress.total
    counts = number(done) if done else ""
    if total is not None:
        counts = f"{number(done)}/{number(total)}"
    percent = f"{min(done / total, 1.0):.0%}" if total else ""
    if percent == "100%" and total and done < total:
        percent = "99%"
    remaining = left(done, total, job.elapsed_s) if running else ""
    return Bar(min(done, total) if total else done, total, counts, percent, remaining, progress.note or "", running)


def tallies(progress: Progress) -> list[Tally]:
    """Outcomes of items, the most frequent first."""
    ordered = sorted(progress.tallies.items(), key=lambda item: (-item[1], item[0]))
    return [Tally(label, number(count), label == "failed") for label, count in ordered]
