"""What the daemon says about itself, and rows of a query."""

from __future__ import annotations

from jobkeep.cli.render.style import YELLOW, Style, state_colour, state_word
from jobkeep.cli.render.table import fields, table
from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import span, when
from jobkeep.protocol.sizes import ROOM_NEEDED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


_NO_FILE = "no file: defaults, and the environment"


def status(reply: dict[str, Any], style: Style, free: int | None = None) -> list[str]:
    """The lines of `jobkeep daemon status`. `free`: bytes on its disk, where that is known."""
    jobs = ", ".join(
        f"{number} {style.paint(state_word(state), state_colour(state))}"
        for state, number in (reply.get("jobs") or {}).items()
        if number
    )
    facts = [
        ("version", f"{escape(str(reply['version']))} (protocol {reply['protocol']})"),
        ("pid", str(reply["pid"])),
        ("you are", escape(str(reply["role"])) if reply.get("role") else ""),
        ("up for", span(reply["uptime_s"])),
        ("memory", f"{reply['rss_bytes'] / 1048576:.0f} MiB"),
        ("jobs", jobs or "none"),
        ("draining", _draining(reply, style)),
        ("disk", _disk(free, style)),
        ("locks", str(reply["locks"])),
        ("sessions", str(reply["sessions"])),
        ("socket", escape(reply["socket"])),
        ("state", escape(reply["state_dir"])),
        ("config", escape(reply["config"] or _NO_FILE) if "config" in reply else ""),
        ("sqlite", escape(reply["sqlite_version"])),
    ]
    queues = [
        [(f"  {escape(name)}", None), *((str(queue[column]), None) for column in ("running", "queued", "limit"))]
        for name, queue in (reply.get("queues") or {}).items()
    ]
    lines = fields(facts, style)
    return [*lines, "", *table(("  QUEUE", "RUNNING", "QUEUED", "LIMIT"), queues, style)] if queues else lines


def _disk(free: int | None, style: Style) -> str:
    if free is None or free >= ROOM_NEEDED:
        return ""
    says = f"{free >> 20} MiB are free: once it is full no jobs are accepted until {ROOM_NEEDED >> 20} MiB are"
    return style.paint(says, YELLOW)


def _draining(reply: dict[str, Any], style: Style) -> str:
    if not reply.get("draining"):
        return ""
    since = f"since {when(reply['draining_since'], style.now, style.tty)}: " if reply.get("draining_since") else ""
    return style.paint(f"{since}no job is started; jobkeep daemon drain --off ends that", YELLOW)


def drained(reply: dict[str, Any], style: Style) -> list[str]:
    """What a drain has come to: a sentence, then a row for each run that was under way."""
    runs = [*reply["interrupted"], *reply["ended"], *reply["running"]]
    rows = [
        [
            (f"  {style.id(run['id'])}", None),
            (state_word(run["outcome"] or "running"), state_colour(run["outcome"] or "running")),
            (escape(run["name"]), None),
            (_why(run), None),
        ]
        for run in runs
    ]
    lines = table(("  ID", "RUN", "NAME", ""), rows, style, flexible=2) if rows else []
    return [_sentence(reply), *(["", *lines] if lines else [])]


def _sentence(reply: dict[str, Any]) -> str:
    if not reply["draining"]:
        return "the drain was called off; jobs are started again"
    running = len(reply["running"])
    if not reply["drained"]:
        awaited = sum(run["waited_for"] for run in reply["running"])
        return f"not drained: {awaited} {'run goes' if awaited == 1 else 'runs go'} on; the daemon starts no others"
    left = f", but {running} {'command goes' if running == 1 else 'commands go'} on" if running else ": nothing runs"
    return f"drained{left}"


def _why(run: dict[str, Any]) -> str:
    if run["outcome"] == "interrupted":
        return "queued again"
    if run["outcome"] is not None:
        return ""
    if not run["waited_for"]:
        return "not waited for"
    return "has not reached a checkpoint" if run["kind"] == "function" else "has not ended"


def query(columns: Sequence[str], rows: Sequence[Sequence[Any]], style: Style) -> list[str]:
    """Rows of a query as a table; NULL is empty."""
    cells = [[("" if value is None else escape(str(value)), None) for value in row] for row in rows]
    widest = max(range(len(columns)), key=lambda i: max((len(row[i][0]) for row in cells), default=0), default=0)
    return table([escape(column) for column in columns], cells, style, flexible=widest) if columns else []


def settings(report: dict[str, Any], style: Style, *, quiet: bool) -> list[str]:
    """What a configuration comes to, a row for each key; with `quiet` only what is not a default."""
    if not report["ok"]:
        return []
    rows = [
        [(f"  {escape(value['key'])}", None), (_written(value["value"]), None), (escape(_source(value)), None)]
        for value in report["values"]
        if not quiet or value["from"] != "default"
    ]
    return table(("  KEY", "VALUE", "FROM"), rows, style, flexible=1) if rows else []


def _written(value: Any) -> str:
    import json

    return escape(value) if isinstance(value, str) and value else json.dumps(value)


def _source(value: dict[str, Any]) -> str:
    return f"${value['where']}" if value["where"] else str(value["from"])


def restored(report: dict[str, Any], style: Style) -> list[str]:
    """What was put in place, and where that is which was there."""
    of = f"as of {when(report['at'], style.now, style.tty)}" if report["at"] else "of unknown age"
    under_way = f", {report['under_way']} of them under way then" if report["under_way"] else ""
    lines = [f"restored: {report['jobs']} jobs, {of}{under_way}"]
    if report["kept"]:
        lines.append(f"what was there is {escape(report['kept'])}")
    return [*lines, "jobkeep daemon start goes on with it"]


def changes(reply: dict[str, Any]) -> list[str]:
    """What a reload has changed, and what it cannot."""
    lines = [f"{_changed(each)}" for each in reply["changed"]]
    lines += [f"{_changed(each)}: needs a restart (jobkeep daemon stop, then start)" for each in reply["restart"]]
    return lines or ["nothing has changed"]


def _changed(change: dict[str, Any]) -> str:
    before, after = ("nothing" if each is None else _written(each) for each in (change["before"], change["after"]))
    return f"{escape(change['key'])}: {before} -> {after}"
