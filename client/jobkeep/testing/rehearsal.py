"""A job in a test: its function is run again and again, stopped and killed in between, without any daemon."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

import anyio
import msgspec

from jobkeep.errors import Stopped
from jobkeep.protocol.values import encode_value
from jobkeep.testing.contexts import BlockingFakeContext, FakeContext, Observer
from jobkeep.testing.memory import Records

_NEVER: Final = 1 << 62


class Killed(BaseException):
    """Stands for kill -9: nothing that is sent afterwards arrives."""


class Rehearsal:
    """One job, with what a daemon would keep of it. Each call is a run, which goes on from where the last one was::

        job = Rehearsal(mail_all, path="list.txt")
        job.kill_after(3)                       # what was not durable yet is forgotten, and so is done again
        job.stop_after(10)                      # finishes what it has begun, and keeps its place
        assert job.run() == {"sent": 17, "skipped": 3}
        assert job.failed == []

    `items` are those that were begun, over all runs and in order: how often each one was is for the test to judge.
    """

    def __init__(self, function: Callable[..., Any], /, **arguments: Any) -> None:
        encode_value(arguments, "arguments")  # a daemon would refuse others
        self.items: list[Any] = []
        self._function = function
        self._arguments = arguments
        self._records = Records()

    def run(self, *, failed_items: bool = False) -> Any:
        """To its end: the result, as JSON has it, or what it raises. `failed_items`: only those, as resume has it."""
        return self._run(_Limits(self), only_failed=failed_items)

    def stop_after(self, count: int, reason: str = "cancelled") -> None:
        """Ask it to stop once `count` items are finished (a checkpoint or a step counts as one, too).

        Raises AssertionError if it comes to its end all the same.
        """
        self._interrupted(_Limits(self, stop_at=count, reason=reason), Stopped, 0)

    def kill_after(self, count: int) -> None:
        """Kill it once `count` items are finished and the next one begins; all is lost that may be by the contract.

        Raises AssertionError if it comes to its end before.
        """
        self._interrupted(_Limits(self, kill_at=count), Killed, _NEVER)

    def _interrupted(self, limits: _Limits, by: type[BaseException], lag: int) -> None:
        try:
            self._run(limits, lag=lag)
        except by:
            return
        raise AssertionError(f"the job came to its end, after {limits.finished_count} items")

    @property
    def done(self) -> int:
        """Finished items that are durable."""
        return self._records.done

    @property
    def tallies(self) -> dict[str, int]:
        """Of those."""
        return dict(self._records.tallies)

    @property
    def failed(self) -> list[str]:
        """Keys of the items on record as failed."""
        return [item.key for item in self._records.failed.values()]

    @property
    def steps(self) -> list[str]:
        """Names of the steps whose results are stored."""
        return [name for name, _ in self._records.steps]

    def _run(self, limits: _Limits, *, only_failed: bool = False, lag: int = 0) -> Any:
        is_async = inspect.iscoroutinefunction(inspect.unwrap(self._function))
        kind = FakeContext if is_async else BlockingFakeContext
        context: Any = kind(self._records, observer=limits, only_failed=only_failed, lag=lag)
        limits.attach(context)
        try:
            if is_async:
                result = anyio.run(lambda: self._function(context, **self._arguments))
            else:
                result = self._function(context, **self._arguments)
        finally:
            for close in context.port.closing:
                close()
        return msgspec.json.decode(encode_value(result, "the result"))


class _Limits(Observer):
    """Stops or kills a run at the right moment."""

    def __init__(
        self, rehearsal: Rehearsal, stop_at: int = _NEVER, kill_at: int = _NEVER, reason: str = "cancelled"
    ) -> None:
        self.finished_count = 0
        self._context: Any = None
        self._rehearsal = rehearsal
        self._stop_at = stop_at
        self._kill_at = kill_at
        self._reason = reason

    def attach(self, context: Any) -> None:
        self._context = context
        self._check()

    def begins(self, item: Any) -> None:
        if self.finished_count >= self._kill_at:
            self._context.port.dead = True
            raise Killed
        if item is not None:
            self._rehearsal.items.append(item)

    def finished(self) -> None:
        self.finished_count += 1
        self._check()

    def _check(self) -> None:
        if self.finished_count >= self._stop_at:
            self._context.stop(self._reason)
