"""What `jobkeep top` has on its board: what was found, as rows that match a filter. Pure: draws and asks nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jobkeep.cli.render import jobs, locks, processes, sessions
from jobkeep.cli.render.style import DIM, YELLOW, Style, state_colour, state_word
from jobkeep.cli.render.text import escape

Thing = dict[str, Any]

TABS = ("jobs", "locks", "sessions", "processes")
LIVE = ("running", "cancelling", "queued", "scheduled")
_ROWS = {"jobs": jobs.rows, "locks": locks.rows, "sessions": sessions.rows, "processes": processes.rows}
_KEYS = {"jobs": "id", "locks": "name", "sessions": "name", "processes": "pid"}
_NONE = {
    "jobs": "no jobs yet; try: jobkeep run -d -- sleep 60",
    "locks": "no lock is held",
    "sessions": "no session is configured",
    "processes": "no process is ours",
}


@dataclass(frozen=True)
class Wanted:
    """What is looked at: a tab, or one job at length."""

    tab: str = "jobs"
    job: str | None = None


@dataclass(frozen=True)
class Seen:
    """What a look has found at the time `at` (seconds since 1970). `refused`: why nothing."""

    wanted: Wanted
    at: float
    status: Thing = field(default_factory=dict)
    things: list[Thing] = field(default_factory=list)
    job: Thing | None = None
    explained: Thing | None = None
    failed: list[Thing] = field(default_factory=list)
    output: dict[str, list[str]] = field(default_factory=dict)
    refused: str | None = None


class Row(NamedTuple):
    """A line, and by which key its thing is known."""

    key: str
    line: str


class Board:
    """The latest of everything. `away`: why nobody answers."""

    def __init__(self) -> None:
        self.wanted = Wanted()
        self.needle = ""
        self.away: str | None = None
        self.status: Thing = {}
        self.detail: Seen | None = None
        self._seen: dict[str, Seen] = {}

    def take(self, seen: Seen) -> None:
        """What was looked at before somebody turned away is kept for when he comes back."""
        self.away = None
        self.status = seen.status or self.status
        if seen.wanted.job is None:
            self._seen[seen.wanted.tab] = seen
        elif seen.wanted.job == self.wanted.job:
            self.detail = seen

    def want(self, wanted: Wanted) -> None:
        """Turn to another tab, or a job."""
        if wanted.job != self.wanted.job:
            self.detail = None
        self.wanted = wanted

    def page(self, style: Style) -> tuple[str, list[Row]]:
        """The titles and the rows of the tab that is shown."""
        tab = self.wanted.tab
        things = self._matching(style.now)
        head, *lines = _ROWS[tab](things, style)
        return head, [Row(str(thing[_KEYS[tab]]), line) for thing, line in zip(things, lines, strict=True)]

    def empty(self) -> str:
        """Why there are no rows."""
        seen = self._seen.get(self.wanted.tab)
        if seen is None:
            return "…"
        if seen.refused is not None:
            return escape(seen.refused)
        return f"nothing matches {escape(self.needle)}" if seen.things else _NONE[self.wanted.tab]

    def job(self, key: str | None) -> Thing | None:
        """The job that keys act on: the one at length, else that of a row of the jobs."""
        if self.wanted.job is not None:
            return self.detail.job if self.detail is not None else self._find("jobs", self.wanted.job)
        return self._find("jobs", key) if self.wanted.tab == "jobs" else None

    def job_behind(self, key: str | None) -> str | None:
        """The id of the job that a row of any tab belongs to."""
        tab = self.wanted.tab
        thing = self._find(tab, key) or {}
        if tab == "locks":
            return (thing.get("holder") or {}).get("job")
        if tab == "processes":
            return str(thing.get("run") or "").rpartition(".")[0] or None
        return thing.get("id" if tab == "jobs" else "job")

    def titles(self) -> dict[str, str]:
        """The tabs, with how many are in each, as far as that is known."""
        known = {**self._counted(), **{tab: len(seen.things) for tab, seen in self._seen.items() if tab != "jobs"}}
        return {tab: f"{tab.capitalize()} {known[tab]}" if tab in known else tab.capitalize() for tab in TABS}

    def _counted(self) -> dict[str, int]:
        if not self.status:
            return {}
        live = sum(number for state, number in (self.status.get("jobs") or {}).items() if state in LIVE)
        return {"jobs": live, "locks": self.status["locks"], "sessions": self.status["sessions"]}

    def summary(self, style: Style) -> str:
        """`jobkeep 0.1.0  ▶ running 2  · queued 5`."""
        if not self.status:
            return "jobkeep"
        counts = [
            style.paint(f"{state_word(state)} {number}", state_colour(state))
            for state, number in (self.status.get("jobs") or {}).items()
            if number
        ]
        draining = [style.paint("it drains: no job is started", YELLOW)] if self.status.get("draining") else []
        return "  ".join([f"jobkeep {escape(str(self.status['version']))}", *counts, *draining])

    def sieve(self, style: Style) -> str:
        """What the filter lets through; "" without one."""
        if not self.needle:
            return ""
        seen = self._seen.get(self.wanted.tab)
        total = len(seen.things) if seen else 0
        return style.paint(f"{escape(self.needle)}: {len(self._matching(0.0))} of {total}", DIM)

    def _find(self, tab: str, key: str | None) -> Thing | None:
        seen = self._seen.get(tab)
        return next((thing for thing in seen.things if str(thing[_KEYS[tab]]) == key), None) if seen else None

    def _matching(self, now: float) -> list[Thing]:
        seen = self._seen.get(self.wanted.tab)
        if seen is None:
            return []
        words = self.needle.casefold().split()
        found = [thing for thing in seen.things if all(word in _text(thing) for word in words)]
        return [_aged(thing, now - seen.at) for thing in found] if self.wanted.tab == "locks" else found


def _aged(lock: Thing, seconds: float) -> Thing:
    """As old as it is now: nothing tells of a lock that is merely held on."""
    return {**lock, "age_s": lock["age_s"] + max(seconds, 0.0)} if lock.get("age_s") is not None else lock


_HIDDEN = ("spec", "actions", "runs", "checkpoint")  # long, and not what rows are about


def _text(thing: Thing) -> str:
    """All that a filter looks at; a label is `key=value`."""
    parts: list[str] = []
    for name, value in thing.items():
        if name in _HIDDEN or value is None:
            continue
        if isinstance(value, dict):
            parts += [f"{key}={part}" for key, part in value.items() if part is not None]
        else:
            parts.append(str(value))
    return " ".join(parts).casefold()
