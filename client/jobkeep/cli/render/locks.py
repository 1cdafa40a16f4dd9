"""Locks: a row for each, or one at length."""

from __future__ import annotations

from jobkeep.cli.render.style import BOLD, DIM, GREEN, YELLOW, Style
from jobkeep.cli.render.table import Cell, fields, table
from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import span, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Lock = dict[str, Any]


def rows(locks: Sequence[Lock], style: Style) -> list[str]:
    """The lines of `jobkeep lock ls`."""
    titles = ["NAME", "HOLDER", "HELD FOR", "WAITING", "TOKEN", "SINCE" if not style.tty else "AGE"]
    return table(titles, [_row(lock, style) for lock in locks], style, flexible=0, spare=(5, 4))


def _row(lock: Lock, style: Style) -> list[Cell]:
    held_for = span(lock["age_s"]) if lock.get("age_s") is not None else ""
    return [
        (escape(lock["name"]), None),
        (holder(lock.get("holder"), style), None),
        (f"{held_for} ! stale" if lock.get("stale") else held_for, YELLOW if lock.get("stale") else None),
        (str(lock.get("waiting") or ""), None),
        (str(lock["token"]), None),
        (when(lock["acquired_at"], style.now, style.tty) if lock.get("acquired_at") else "", DIM),
    ]


def holder(given: dict[str, Any] | None, style: Style) -> str:
    """`job k3x9a0b1 (run 2)`, `process 4711 (uid 1000)`."""
    if given is None:
        return "nobody"
    if given.get("kind") == "run":
        number = given.get("run")
        return f"job {style.id(str(given.get('job')))}" + (f" (run {number})" if number and number > 1 else "")
    return f"process {given.get('pid')} (uid {given.get('uid')})"


def sentence(lock: Lock, style: Style) -> str:
    """`held by job k3x9a0b1 for 12 min`, or `free`."""
    if not lock.get("holder"):
        return style.paint("free", GREEN)
    held_for = f" for {span(lock['age_s'])}" if lock.get("age_s") is not None else ""
    stale = ", ! stale: longer than max_hold" if lock.get("stale") else ""
    return style.paint(f"held by {holder(lock['holder'], style)}{held_for}{stale}", YELLOW if stale else None)


def show(lock: Lock, style: Style) -> list[str]:
    """All lines of `jobkeep lock show`."""
    left = lock.get("expires_in_s")
    facts = [
        ("token", str(lock["token"])),
        ("since", when(lock["acquired_at"], style.now, style.tty) if lock.get("acquired_at") else ""),
        ("lease", f"{span(left)} left, unless it is renewed" if left is not None else ""),
        ("waiting", str(lock.get("waiting") or "")),
    ]
    return [style.paint(escape(lock["name"]), BOLD), sentence(lock, style), "", *fields(facts, style)]
