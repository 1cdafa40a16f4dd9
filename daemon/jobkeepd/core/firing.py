"""Schedules, and which of the times that they name are fired: pure. Times are UTC seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from jobkeep.protocol.vocabulary import Missed, OnConflict
from jobkeepd.core.authz import ROOT
from jobkeepd.core.model import JobSpec, Peer
from jobkeepd.core.queueing import Deed

PUNCTUAL: Final = 60.0  # seconds; what is fired later was missed. Less than two times of a schedule are apart
MOST_MISSED: Final = 100  # of the missed times at most so many are made up for

Order = Literal["pause", "resume"]


class Terms(Struct, frozen=True, kw_only=True):
    """What a schedule does, and when. `environment` is the hash of the one that its jobs get."""

    cron: str
    timezone: str
    spec: JobSpec
    environment: str | None
    owner: Peer
    missed: Missed = "run_once"
    on_conflict: OnConflict | None = None
    configured: bool = False  # by the configuration, not by people

    @property
    def others(self) -> bool:
        """Whether its jobs may replace those of other users: who has made it may be no operator any more."""
        return self.configured or self.owner.uid == ROOT


class Schedule(Struct, frozen=True, kw_only=True):
    """All times up to `cursor` are settled: fired or skipped, once and for all."""

    name: str
    terms: Terms
    cursor: float
    paused: Deed | None = None
    last_at: float | None = None  # the time that was fired last
    last_job: str | None = None


class Firing(Struct, frozen=True):
    """Settle all times up to `at`: this one is fired, or not; `skipped` earlier ones are not."""

    at: float
    fires: bool
    skipped: int


def decide(missed: Missed, due: Sequence[float], earlier: int, now: float) -> list[Firing]:
    """`due` are the times that are not settled, rising; `earlier` ones were not even looked at."""
    if not due:
        return []
    if missed == "run_all":
        return [Firing(at, True, earlier if index == 0 else 0) for index, at in enumerate(due)]
    skipped = earlier + len(due) - 1
    if missed == "skip" and now - due[-1] >= PUNCTUAL:
        return [Firing(due[-1], False, skipped)]
    return [Firing(due[-1], True, skipped)]


def redefined(before: Schedule | None, name: str, terms: Terms, now: float) -> Schedule:
    """With other terms. What it has settled stays so; times of another calendar count from now on."""
    if before is None:
        return Schedule(name=name, terms=terms, cursor=now)
    same = (before.terms.cron, before.terms.timezone) == (terms.cron, terms.timezone)
    return replace(before, terms=terms, cursor=before.cursor if same else max(before.cursor, now))


def obey(before: Schedule, order: Order, deed: Deed) -> Schedule:
    """The same object where there is nothing to do. What was due while it was paused is not made up for."""
    if order == "pause":
        return before if before.paused is not None else replace(before, paused=deed)
    return before if before.paused is None else replace(before, paused=None, cursor=max(before.cursor, deed.at))
