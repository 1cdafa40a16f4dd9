"""What a worker says of a run, as the store and the decisions of core take it: over the wire, or left in the spool."""

from __future__ import annotations

from jobkeep.protocol import worker as wire
from jobkeepd.core.model import RunRef
from jobkeepd.runner.spool import Spooled
from jobkeepd.store.changes import SaveCheckpoint, SaveStep


def run_ref(run: str, fence: int) -> RunRef:
    job, _, number = run.partition(".")
    return RunRef(job, int(number), fence)


def save_checkpoint(report: wire.CheckpointParameters, at: float) -> SaveCheckpoint:
    return SaveCheckpoint(
        run=run_ref(report.run, report.fence),
        seq=report.seq,
        cursor=report.cursor,
        state=report.state,
        done=report.done,
        total=report.total,
        note=report.note,
        tallies=report.tallies,
        failed=tuple(report.failed),
        resolved=tuple(report.resolved),
        at=at,
    )


def save_step(report: wire.SaveStepParameters, at: float) -> SaveStep:
    return SaveStep(
        run=run_ref(report.run, report.fence), ordinal=report.ordinal, name=report.name, result=report.result, at=at
    )


def reported(left: Spooled, at: float) -> list[SaveStep | SaveCheckpoint]:
    """What a worker could not say before its end, in order. Steps first: checkpoints may tell what came after."""
    steps: list[SaveStep | SaveCheckpoint] = [save_step(step, at) for step in left.steps]
    return steps if left.checkpoint is None else [*steps, save_checkpoint(left.checkpoint, at)]
