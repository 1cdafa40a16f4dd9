"""What has been reported and not yet acknowledged. Pure: no socket, no file, no clock."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from jobkeep.protocol.worker import CheckpointParameters, FinishParameters

ROWS = 100  # failed items in one message at most, so that it stays under the limit of a message


class Unacknowledged(Struct):
    """Of one run, in the order in which it was reported."""

    checkpoints: list[CheckpointParameters] = []
    finish: FinishParameters | None = None


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

    def checkpoints(self) -> list[CheckpointParameters]:
        return [checkpoint for held in self._runs.values() for checkpoint in held.checkpoints]

    def finishes(self) -> list[FinishParameters]:
        return [held.finish for held in self._runs.values() if held.finish is not None]

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
        if held.checkpoints or held.finish is not None:
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
