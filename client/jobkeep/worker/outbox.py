"""What has been reported and not yet acknowledged. Pure: no socket, no file, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from jobkeep.protocol.worker import CheckpointParameters, FinishParameters, SaveStepParameters

Report: TypeAlias = CheckpointParameters | SaveStepParameters | FinishParameters  # what must arrive
ROWS = 100  # failed items in one message at most, so that it stays under the limit of a message


class Unacknowledged(Struct):
    """Of one run. Steps are said again before checkpoints: those may tell what the job has done since."""

    steps: list[SaveStepParameters] = []
    checkpoints: list[CheckpointParameters] = []
    finish: FinishParameters | None = None

    @property
    def fence(self) -> int:
        """Of the run: each report has it."""
        return next(report.fence for report in (self.finish, *self.checkpoints, *self.steps) if report is not None)


class Unsaid(Struct):
    """What has not arrived, or nobody knows that it has: of all runs, oldest first."""

    steps: list[SaveStepParameters] = []
    checkpoints: list[CheckpointParameters] = []
    finishes: list[FinishParameters] = []


class Outbox:
    """By run, oldest run first."""

    def __init__(self) -> None:
        self._runs: dict[str, Unacknowledged] = {}

    def __bool__(self) -> bool:
        return bool(self._runs)

    def __iter__(self) -> Iterator[tuple[str, Unacknowledged]]:
        return iter(list(self._runs.items()))

    def last(self) -> tuple[str, Unacknowledged] | None:
        """The newest run."""
        run = next(reversed(self._runs), None)
        return None if run is None else (run, self._runs[run])

    def of(self, run: str) -> Unacknowledged:
        """What is held of that run, possibly nothing."""
        return self._runs.get(run) or Unacknowledged()

    def unsaid(self) -> Unsaid:
        runs = self._runs.values()
        return Unsaid(
            steps=[step for held in runs for step in held.steps],
            checkpoints=[checkpoint for held in runs for checkpoint in held.checkpoints],
            finishes=[held.finish for held in runs if held.finish is not None],
        )

    def add_step(self, step: SaveStepParameters) -> None:
        self._runs.setdefault(step.run, Unacknowledged()).steps.append(step)

    def add_checkpoint(self, checkpoint: CheckpointParameters) -> None:
        self._runs.setdefault(checkpoint.run, Unacknowledged()).checkpoints.append(checkpoint)

    def add_finish(self, finish: FinishParameters) -> None:
        self._runs.setdefault(finish.run, Unacknowledged()).finish = finish

    def checkpoint_stored(self, run: str, seq: int) -> bool:
        """The daemon has the checkpoints up to `seq`. Whether none of the run is left."""
        held = self._runs.get(run)
        if held is None:
            return True
        held.checkpoints = [checkpoint for checkpoint in held.checkpoints if checkpoint.seq > seq]
        return self._tidy(run, held)

    def step_stored(self, run: str, ordinal: int) -> None:
        """The daemon has that step."""
        if (held := self._runs.get(run)) is not None:
            held.steps = [step for step in held.steps if step.ordinal != ordinal]
            self._tidy(run, held)

    def finish_stored(self, run: str) -> None:
        """The daemon has the run's end."""
        if (held := self._runs.get(run)) is not None:
            held.finish = None
            self._tidy(run, held)

    def forget(self, run: str) -> None:
        """Nothing more is to be said about this run."""
        self._runs.pop(run, None)

    def compact(self) -> None:
        """Merge what was not acknowledged, as far as it fits a message: only the newest state matters."""
        for held in self._runs.values():
            merged: list[CheckpointParameters] = []
            for checkpoint in held.checkpoints:
                if merged and _rows(merged[-1]) + _rows(checkpoint) <= ROWS:
                    merged[-1] = merge(merged[-1], checkpoint)
                else:
                    merged.append(checkpoint)
            held.checkpoints = merged

    def newest(self, run: str) -> CheckpointParameters | None:
        """All unacknowledged checkpoints of a run as one, however large."""
        held = self._runs.get(run)
        if held is None or not held.checkpoints:
            return None
        whole = held.checkpoints[0]
        for checkpoint in held.checkpoints[1:]:
            whole = merge(whole, checkpoint)
        return whole

    def _tidy(self, run: str, held: Unacknowledged) -> bool:
        if held.steps or held.checkpoints or held.finish is not None:
            return not held.checkpoints
        del self._runs[run]
        return True


def merge(older: CheckpointParameters, newer: CheckpointParameters) -> CheckpointParameters:
    """`newer`, with the failed and resolved items of `older` that it says nothing about."""
    failed = {(item.batch, item.key): item for item in [*older.failed, *newer.failed]}
    resolved = {(item.batch, item.key): item for item in older.resolved}
    for item in newer.failed:
        resolved.pop((item.batch, item.key), None)
    for done in newer.resolved:
        failed.pop((done.batch, done.key), None)
        resolved[done.batch, done.key] = done
    return replace(newer, failed=list(failed.values()), resolved=list(resolved.values()))


def _rows(checkpoint: CheckpointParameters) -> int:
    return len(checkpoint.failed) + len(checkpoint.resolved) // 4
