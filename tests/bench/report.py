"""The figures as a table for people and as JSON for comparison."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from typing import Any, NamedTuple

from bench.measure import Figure

COLUMNS = ("measure", "raw", "ours", "unit", "ratio", "promised", "")


class Conditions(NamedTuple):
    """Under which a benchmark was taken. `load` is that before it began: what others do beside it."""

    rounds: int
    cpus: int
    load: float

    @classmethod
    def now(cls, rounds: int) -> Conditions:
        return cls(rounds, len(os.sched_getaffinity(0)), os.getloadavg()[0])

    def __str__(self) -> str:
        said = f"{self.rounds} rounds on {self.cpus} CPUs, load {self.load:.1f} before"
        return said if self.load < self.cpus / 2 else f"{said}: BUSY, what runs side by side is worth less here"


def table(figures: list[Figure], absent: dict[str, str]) -> str:
    """Everything measured, and in words what this machine could not measure."""
    rows = [COLUMNS, *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"{figure.name}: {figure.what}" for figure in figures]
    notes += [f"{name}: NOT MEASURED, {why}" for name, why in absent.items()]
    return "\n".join([*lines, "", *notes])


def _row(figure: Figure) -> tuple[str, ...]:
    held = {True: "holds", False: "NO", None: ""}[figure.held]
    numbers = (f"{figure.raw:,.1f}", f"{figure.ours:,.1f}", figure.unit, f"{figure.ratio:.2f}")
    return (figure.name, *numbers, str(figure.bound), held)


def as_json(figures: list[Figure], absent: dict[str, str], conditions: Conditions) -> str:
    machine: dict[str, Any] = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    shown = [figure.as_json() for figure in figures]
    return json.dumps({**conditions._asdict(), **machine, "not_measured": absent, "figures": shown})
