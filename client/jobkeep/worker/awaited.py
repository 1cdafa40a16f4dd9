"""Calls to the daemon whose replies have not come, and whom to tell of those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

Kind = Literal["checkpoint", "step", "finish"]  # of reports; what else is asked is a query


class Listener(Struct, frozen=True):
    """Whom to tell. All are called at the helm; `durable` by the job as well, but never by both at once."""

    durable: Callable[[str, Kind, int], None]  # run, and the seq of a checkpoint or the ordinal of a step
    refused: Callable[[str, Exception], None]  # run, why
    fenced: Callable[[str | None], None]  # run, or None: the whole process


class Query(Struct, frozen=True, eq=False):
    """Something that only the daemon knows. `answer` is called at the helm: with the reply, or why there is none."""

    method: str
    parameters: Any
    run: str
    answer: Callable[[Any], None]


class Awaited(Struct):
    """A call whose reply has not come. `number`: the seq of a checkpoint, the ordinal of a step."""

    what: Kind | Query
    run: str
    number: int
    sent_at: float
