"""What a run's reports go out by: the courier of a worker, or of a function on a cluster that of its bridge."""

from __future__ import annotations

from typing import Protocol

from jobkeep.protocol.worker import BeatParameters, CheckpointParameters, ProgressParameters, SaveStepParameters
from jobkeep.worker.awaited import Query


class Messenger(Protocol):
    """Nothing here blocks, and all may be called from any thread."""

    def checkpoint(self, parameters: CheckpointParameters) -> None:
        """Durable once the run is told so."""

    def step(self, parameters: SaveStepParameters) -> None:
        """Durable once the run is told so."""

    def ask(self, query: Query) -> None:
        """Answered some time, or the run ends."""

    def progress(self, parameters: ProgressParameters) -> None:
        """May get lost."""

    def beat(self, parameters: BeatParameters) -> None:
        """May get lost."""

    def look(self) -> None:
        """Take what has come, if that costs nothing: the job is about to report."""

    def untend(self) -> None:
        """The job is going to wait, and looks no more."""

    def wake(self) -> None:
        """Something has become due in a run: its `work_off` had better be called."""
