"""The page of jobs: tabs with counts, the rows, and what ended last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobkeep.protocol.jobs import Job
from jobkeep.web.model import filters, words
from jobkeep.web.model.filters import Filter
from jobkeep.web.model.rows import Row, row

_ORDER: Final = {"running": 0, "cancelling": 0, "queued": 1, "scheduled": 2}
EMPTY: Final = {
    "active": "Nothing is under way.",
    "all": "There are no jobs yet.",
}


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str
    count: str
    address: str
    current: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A page of jobs. `whole`: there is no other one, before or after."""

    jobs: Sequence[Job]
    next: int | None
    whole: bool


@dataclass(frozen=True, slots=True)
class JobList:
    """`ended`: what ended last, below what is under way. `matching`: how many there are, where that is known."""

    filter: Filter
    tabs: list[Tab]
    rows: list[Row]
    ended: list[Row] | None
    older: str | None
    matching: int | None
    empty: str
    clear: str  # the address without the conditions
    moving: bool


def job_list(
    filter: Filter, found: Found, ended: Sequence[Job] | None, counts: Mapping[str, int], now: datetime
) -> JobList:
    """`ended` is None where the page has no such part."""
    jobs = found.jobs
    if filter.tab == filters.ACTIVE:
        jobs = sorted(jobs, key=lambda job: _ORDER.get(job.state, 3))  # sorted() keeps the newest first within each
    shown = [row(job, now) for job in jobs]
    live = {each.id for each in shown}  # the two were asked for one after the other
    matching = total(filter.tab, counts) if not filter.narrowed else len(shown) if found.whole else None
    return JobList(
        filter=filter,
        tabs=[_tab(filter, name, counts) for name in filters.TABS],
        rows=shown,
        ended=None if ended is None else [row(job, now) for job in ended if job.id not in live],
        older=filter.older(found.next).address() if found.next is not None else None,
        matching=matching,
        empty=_empty(filter),
        clear=Filter(filter.tab).address(),
        moving=any(job.state in ("running", "cancelling") for job in jobs),
    )


def total(tab: str, counts: Mapping[str, int]) -> int:
    """How many jobs a tab has."""
    states = Filter(tab).states
    return sum(count for state, count in counts.items() if states is None or state in states)


def _tab(filter: Filter, name: str, counts: Mapping[str, int]) -> Tab:
    label = name.capitalize()
    return Tab(name, label, words.number(total(name, counts)), filter.on_tab(name).address(), name == filter.tab)


def _empty(filter: Filter) -> str:
    if filter.narrowed:
        return "No job matches."
    return EMPTY.get(filter.tab, f"No job is {filter.tab}.")
