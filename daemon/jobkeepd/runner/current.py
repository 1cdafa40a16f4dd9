"""The runs that a worker has: the end of each that is waited for, which of them it has begun, and what it reports."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import anyio

from jobkeep.protocol import worker as wire
from jobkeepd.core.ending import Finished, RunEnd
from jobkeepd.latch import Latch
from jobkeepd.runner.base import Execution, Launch

BRIDGE_S = 5.0


class Current:
    """The run a worker has, from its order to its end."""

    def __init__(self, launch: Launch, rejoined: bool) -> None:
        job = launch.job
        self.ref = job.ref
        self.order = job.run.order if job.run else (0.0, 0.0)
        self.cookie = job.run.cookie if job.run else ""
        self.signs = launch.signs
        self.rejoined = rejoined  # it is an earlier daemon that had sent it, or was about to
        self.ended: Latch[RunEnd] = Latch()
        self.asked: str | None = None  # to stop, and why
        self.fenced = False  # nothing that it says counts any more


def begun_of(currents: Sequence[Current], begun: tuple[str, ...] | None, or_else: Sequence[Current]) -> list[Current]:
    """Those that the worker has begun; `or_else` where that is not on record."""
    return list(or_else) if begun is None else [current for current in currents if current.ref.id in begun]


def finished(report: wire.FinishParameters, at: float) -> Finished:
    """The end that a worker reports, over the wire or in the spool."""
    lost = report.outcome == "failed" and report.error is None and (report.reason or "").startswith(wire.LOST)
    return Finished(
        "lost" if lost else report.outcome,
        at,
        result=report.result if report.outcome == "succeeded" else None,
        error=report.error,
        reason=report.reason,
        permanent=report.permanent,
    )


async def ended_by_itself(execution: Execution, current: Current) -> None:
    """Give a bridge time to end its task, which nobody else can; then, or after a while, its own turn has come."""
    await execution.signal(signal.SIGTERM)
    with anyio.move_on_after(BRIDGE_S):
        await current.ended.wait()
