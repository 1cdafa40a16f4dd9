"""How a job learns that its run is to end. Their names are those of jobkeep.errors."""

from __future__ import annotations


class Stopped(BaseException):
    """The run was asked to stop. Not an Exception, so that a job's own handlers let it pass; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RunLeaseLost(Stopped):
    """The run is not ours any more: its process was stopped for longer than its lease lasts. What it has reported since
    does not count, its lock may soon be another's, and its process ends in a moment: touch nothing more.
    """

    def __init__(self) -> None:
        super().__init__("lease lost")
