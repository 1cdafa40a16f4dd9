"""A daemon as a bridge sees it, by the run that it is given."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Raw

from dask_bridge.stand_in import LAB
from jobkeep.dask_bridge.bridge import carry
from jobkeep.dask_bridge.settings import Cluster
from jobkeep.protocol.worker import CheckpointParameters, ProgressParameters, RunOrder
from jobkeep.worker.active import ActiveRun
from jobkeep.worker.doorbell import Doorbell
from jobkeep.worker.ending import Ending


class Daemon:
    """What a bridge tells of its run: a messenger, which keeps it."""

    def __init__(self, **order: Any) -> None:
        self.progress_made: list[ProgressParameters] = []
        self.saved: list[CheckpointParameters] = []
        given: dict[str, Any] = {"run": "j/1", "job": "j", "number": 1, **order}
        self.run = ActiveRun(
            RunOrder(
                fence=1, function="m:f", arguments=Raw(b"{}"), name="j", cookie="", stdout="", stderr="", **given
            ), self, attention_s=2.0,
        )  # fmt: skip

    async def carry(self, cluster: Cluster = LAB) -> Ending:
        """Have a bridge carry the run, as its process does."""
        doorbell = Doorbell()
        serving = asyncio.ensure_future(doorbell.serve())
        try:
            return await carry(cluster, self.run, doorbell)
        finally:
            serving.cancel()
            doorbell.close()

    def notes(self) -> list[str | None]:
        return [each.note for each in self.progress_made]

    def progress(self, parameters: ProgressParameters) -> None:
        self.progress_made.append(parameters)

    def checkpoint(self, parameters: CheckpointParameters) -> None:
        self.saved.append(parameters)

    def step(self, parameters: Any) -> None: ...
    def beat(self, parameters: Any) -> None: ...
    def ask(self, query: Any) -> None: ...
    def look(self) -> None: ...
    def untend(self) -> None: ...
    def wake(self) -> None: ...
