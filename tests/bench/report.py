"""The figures as a table for people and as JSON for comparison."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from typing import Any

from bench.measure import Figure

COLUMNS = ("measure", "raw", "ours", "unit", "ratio", "promised", "held")


def table(figures: list[Figure]) -> str:
    rows = [COLUMNS, *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"{figure.name}: {figure.what}" for figure in figures]
    return "\n".join([*lines, "", *notes])


def _row(figure: Figure) -> tuple[str, ...]:
    held = {True: "yes", False: "NO", None: ""}[figure.held]
    numbers = (f"{figure.raw:,.1f}", f"{figure.ours:,.1f}", figure.unit, f"{figure.ratio:.2f}")
    return (figure.name, *numbers, figure.bound, held)


def as_json(figures: list[Figure], rounds: int) -> str:
    machine: dict[str, Any] = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cpus": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
    }
    return json.dumps({"rounds": rounds, **machine, "figures": [figure.as_json() for figure in figures]})
