"""The runs that a worker has been given and has not ended yet."""

from __future__ import annotations

from collections import deque

from jobkeep.protocol.worker import Order, RunOrder
from jobkeep.worker.active import ActiveRun
from jobkeep.worker.awaited import Kind
from jobkeep.worker.courier import Courier


class Roster:
    """`begin` and `remove` belong to the main thread, all else to whoever is at the helm."""

    def __init__(self) -> None:
        self._runs: dict[str, ActiveRun] = {}
        self._inbox = self.waiting = deque[ActiveRun | None]()  # for `begin`. None: no more runs

    @property
    def retires(self) -> bool:
        """The process is to end after what is under way."""
        return None in self._inbox

    @property
    def all(self) -> list[ActiveRun]:
        return list(self._runs.values())

    @property
    def under_way(self) -> ActiveRun | None:
        """The run that has begun and not ended."""
        return next((run for run in self.all if run.begun), None)

    def begin(self) -> ActiveRun | None:
        """The next run, which has begun now; None: there is none any more."""
        run = self._inbox.popleft()
        if run is not None:
            run.begun = True
        return run

    def remove(self, run: ActiveRun) -> None:
        """It has ended."""
        self._runs.pop(run.order.run, None)

    def add(self, order: RunOrder, courier: Courier, attention_s: float) -> ActiveRun:
        run = self._runs[order.run] = ActiveRun(order, courier, attention_s)
        self._inbox.append(run)
        return run

    def retire(self) -> None:
        self._inbox.append(None)

    def drop_unbegun(self) -> None:
        """Forget what has not begun: it was sent over a connection that is gone, and the daemon gives it to others."""
        for run in [run for run in self._inbox if run is not None and not run.begun]:
            self._inbox.remove(run)
            self.remove(run)

    def stop(self, order: Order, now: float) -> None:
        run = self._runs.get(order.target or "")
        if run is not None:
            run.ask_to_stop(order.reason or "cancelled", now)

    def stored(self, run: str, kind: Kind, number: int) -> None:
        """A checkpoint or a step is durable."""
        if (active := self._runs.get(run)) is not None:
            active.stored(kind, number)

    def refused(self, run: str, error: Exception) -> None:
        """The daemon does not take a checkpoint or a step."""
        if (active := self._runs.get(run)) is not None:
            active.refuse(error)

    def fence(self, run: str | None) -> bool:
        """The lease of a run is lost, or of all: end it, and take no more. Whether there was one."""
        meant = [active for active in self.all if run is None or active.order.run == run]
        for active in meant:
            active.fence()
        if meant or run is None:
            self.retire()
        return bool(meant)
