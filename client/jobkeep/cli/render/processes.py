"""Processes: a row for each, and a clean-up in one line."""

from __future__ import annotations

from jobkeep.cli.render.style import DIM, GREEN, RED, YELLOW, Style
from jobkeep.cli.render.table import Cell, table
from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_COLOURS = {"killed": RED, "would_kill": RED, "protected": GREEN, "left": DIM}
_TITLES = ("PID", "RUN", "FAMILY", "VERDICT", "EVIDENCE", "ACTION", "CPU", "MEMORY", "AGE", "REASON", "COMMAND")
_COMMAND = len(_TITLES) - 1
_SPARE = (6, 7, 4, 8, 2, 3, 9)  # of what is to be ended it matters most whose it is, what, and why


def rows(processes: Sequence[dict[str, Any]], style: Style) -> list[str]:
    """The lines of `jobkeep ps`."""
    return table(_TITLES, [_row(each, style) for each in processes], style, flexible=_COMMAND, spare=_SPARE)


def _row(process: dict[str, Any], style: Style) -> list[Cell]:
    verdict, action = process["verdict"], process["action"]
    return [
        (str(process["pid"]), None),
        (_run(process["run"], style), None),
        (escape(process["family"] or ""), None),
        (escape(verdict), YELLOW if verdict == "orphan" else None),
        (escape(",".join(process["evidence"])), DIM),
        (escape(action.replace("_", " ")), _COLOURS.get(action)),
        (span(process["cpu_s"]), None),
        (f"{process['rss_bytes'] / (1 << 20):.1f} MiB", None),
        (span(process["age_s"]), None),
        (escape(process["reason"]), DIM),
        (escape(_short(process["command"]) if style.width is not None else process["command"]), None),
    ]


def _short(command: str) -> str:
    """Without the folders of what runs; other paths from their end, which tells more than where they begin."""
    first, *rest = command.split(" ")
    shown = [f"…/{word.rpartition('/')[2]}" if word.startswith("/") and word.count("/") > 1 else word for word in rest]
    return " ".join([first.rpartition("/")[2] or first if first.startswith("/") else first, *shown])


def _run(name: str | None, style: Style) -> str:
    """`k3x9a0b1.2`; a worker between two runs is named by its seat."""
    job, _, number = (name or "").rpartition(".")
    return f"{style.id(job)}.{escape(number)}" if job else escape(name or "")


def summary(reply: dict[str, Any]) -> str:
    """In one line."""
    would = sum(process["action"] == "would_kill" for process in reply["processes"])
    killed = f"{would} would be killed" if reply["dry_run"] else f"{reply['killed_count']} killed"
    parts = [killed, f"{reply['protected_count']} protected", f"{reply['active_sessions']} active sessions"]
    if reply["survivors"]:
        parts.insert(1, f"{len(reply['survivors'])} live on")
    return ", ".join(parts) + (" (only looked: nobody was signalled)" if reply["dry_run"] else "")


def _many(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def losses(report: dict[str, Any]) -> list[str]:
    """What an emergency has ended, or would end."""
    would = report["dry_run"]
    doomed = sum(process["action"] == "would_kill" for process in report["processes"])
    daemons = ", ".join(map(str, report["daemon"])) or "none"
    killed = doomed if would else report["killed_count"]
    counts = f"daemon {daemons}, {_many(killed, 'process', 'processes')}, {_many(report['runs'], 'run', 'runs')}"
    counts += f", {_many(report['sessions'], 'session', 'sessions')}"
    counts += f", {_many(report['locks'], 'lock of a client', 'locks of clients')}"
    lines = [f"would end: {counts}" if would else f"ended: {counts}"]
    if report["survivors"]:
        lines.append(f"{len(report['survivors'])} processes live on")
    if report["unrecorded"]:
        lines.append(f"not all of it is on record: {report['unrecorded']}")
    if not would and report["queues"]:
        lines.append(f"{_many(report['queues'], 'queue is', 'queues are')} paused (jobkeep queue ls); all go on with")
        lines.append("  jobkeep queue ls -q | xargs -n 1 jobkeep queue resume")
    return lines
