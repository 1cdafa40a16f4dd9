"""The steps of a job: functions whose results are stored, so that none of them is run twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Raw

from jobkeep.errors import StepsChanged, TooLarge
from jobkeep.protocol.values import encode_value
from jobkeep.protocol.vocabulary import RESULT_LIMIT
from jobkeep.protocol.worker import RunOrder
from jobkeep.sdk.options import is_name
from jobkeep.sdk.port import Port, StepContent
from jobkeep.sdk.stops import Stops


class Steps:
    """Of one run. A step is known by its ordinal, so that a name may come again; its name has to be what it was."""

    def __init__(self, order: RunOrder, port: Port, stops: Stops) -> None:
        self._names = order.steps
        self._port = port
        self._stops = stops
        self._next = 0
        self._in_work: str | None = None

    @contextmanager
    def begin(self, name: str) -> Iterator[Step]:
        """The next step. Raises StepsChanged, and RuntimeError where it is not the only thing that the job does."""
        if not is_name(name):
            raise ValueError(f"{name!r} is no name for a step: letters, digits and ._:@/+- only")
        if self._in_work is not None:
            raise RuntimeError(f"step {name!r} was begun while step {self._in_work!r} is in work: {_SEQUENTIAL}")
        if self._stops.in_batch:
            raise RuntimeError(f"step {name!r} was begun while a for_each is under way: {_SEQUENTIAL}")
        ordinal = self._next
        is_stored = ordinal < len(self._names)
        if is_stored and self._names[ordinal] != name:
            raise changed(ordinal, self._names[ordinal], name)
        self._in_work = name
        try:
            yield Step(self, self._port, ordinal, name, is_stored)
        finally:
            self._in_work = None

    def check_batch(self) -> None:
        """Raises RuntimeError for a batch that is begun within a step: a later run would leave it out."""
        if self._in_work is not None:
            raise RuntimeError(f"a for_each was begun within step {self._in_work!r}, and keeps its place by itself: "
                               f"call it outside of steps; {_SEQUENTIAL}")  # fmt: skip

    def passed(self) -> None:
        """The step that is in work has its result."""
        self._next += 1


class Step:
    """The step in work. `is_stored`: an earlier run has its result."""

    def __init__(self, steps: Steps, port: Port, ordinal: int, name: str, is_stored: bool) -> None:
        self.is_stored = is_stored
        self.ordinal = ordinal
        self._steps = steps
        self._port = port
        self._name = name

    def keep(self, value: Any) -> Any:
        """Send the result on its way; what a later run will get for it. Raises TypeError, TooLarge."""
        encoded = encode_value(value, f"the result of step {self._name!r}")
        if len(encoded) > RESULT_LIMIT:
            raise TooLarge(f"the result of step {self._name!r} is {len(encoded)} bytes as JSON, "
                           f"over the limit of {RESULT_LIMIT}")  # fmt: skip
        self._port.steps.send(StepContent(self.ordinal, self._name, Raw(encoded)))
        self._steps.passed()
        return msgspec.json.decode(encoded)

    def found(self, result: Raw | None) -> Any:
        """The stored result has come."""
        assert result is not None
        self._steps.passed()
        return msgspec.json.decode(result)


def changed(ordinal: int, expected: str, found: str) -> StepsChanged:
    return StepsChanged(
        f"step {ordinal + 1} of the job was {expected!r} when its result was stored, and is now {found!r}; results and "
        "checkpoint are kept: put the steps back in their order and resume the job, or submit it anew",
        ordinal + 1,
        expected,
        found,
    )


_SEQUENTIAL = "steps are sequential, one after the other and outside of batches"
