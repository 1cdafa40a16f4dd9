"""Who waits until nobody has anything to do with a job any more."""

from __future__ import annotations

from collections.abc import Callable

import anyio


class Leaving:
    """`is_ours`: whether somebody still follows the job, or finds out how it ended; who stops to says `let_go`."""

    def __init__(self, is_ours: Callable[[str], bool]) -> None:
        self._is_ours = is_ours
        self._bells: dict[str, anyio.Event] = {}

    async def left(self, job: str) -> None:
        """For a job that has ended, which is soon."""
        while self._is_ours(job):
            await self._bells.setdefault(job, anyio.Event()).wait()

    def let_go(self, job: str) -> None:
        bell = self._bells.pop(job, None)
        if bell is not None:
            bell.set()
