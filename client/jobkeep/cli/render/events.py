"""Journal entries: a line for each."""

from __future__ import annotations

import json

from jobkeep.cli.render.outcome import signal_name
from jobkeep.cli.render.style import BOLD, DIM, Style
from jobkeep.cli.render.text import escape, pad
from jobkeep.cli.render.times import iso, span, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def entry(event: dict[str, Any], style: Style, job: bool = True) -> str:
    """One line; its columns are wide enough to align in most cases, since a stream cannot look ahead."""
    by = event.get("by")
    parts = [
        style.paint(str(event["seq"]).rjust(6), DIM),
        pad(when(event["at"], style.now, style.tty), 12),
        style.id(event["job"]) if job and event.get("job") else " " * 8 if job else "",
        style.paint(pad(escape(event["kind"]), 16), BOLD),
        f"run {event['run']}" if event.get("run") is not None else "",
        f"by uid {by['uid']}" if by else "",
        data(event["kind"], event.get("data") or {}, style),
    ]
    return "  ".join(part for part in parts if part).rstrip()


def data(kind: str, given: dict[str, Any], style: Style) -> str:
    """What an entry says beside its kind. What only the daemon understands is left to --json."""
    given = {key: value for key, value in given.items() if key not in HIDDEN}
    words = []
    if kind == "signalled" and "pid" in given:
        words.append(_signal(given))
    if kind == "ended" and "outcome" in given:
        words.append(_end(given.pop("outcome"), given.pop("status", None), given.pop("reason", None)))
    words += [_fact(key, value, style) for key, value in given.items()]
    return escape(" ".join(words))


HIDDEN = ("seat", "boot_id")
_SCOPES = {"group": "the group of ", "tree": "all that is beneath ", "process": ""}


def _signal(given: dict[str, Any]) -> str:
    """`SIGTERM to the group of process 4711 (start 7, inode 9, sh): the job was cancelled; by record, slot`."""
    scope = _SCOPES.get(given.pop("scope", ""), "")
    who = [f"start {given.pop('start_ticks', '?')}", f"inode {given.pop('pidfd_inode', '?')}", given.pop("command", "")]
    target = f"{scope}process {given.pop('pid')} ({', '.join(filter(None, who))})"
    evidence = ", ".join(given.pop("evidence", None) or ("nothing",))
    return f"{given.pop('signal', '?')} to {target}: {given.pop('reason', '')}; by {evidence}"


def _end(outcome: str, status: int | None, reason: str | None) -> str:
    """`failed: exit code 3`; the raw wait status and the daemon's reason often say the same."""
    how = ""
    if isinstance(status, int) and status:
        code, number = status >> 8 & 0xFF, status & 0x7F
        how = signal_name(number) if number else f"exit code {code}"
    if reason:
        how = f"{reason}, {how}" if how and how not in reason else reason
    return f"{outcome}: {how}" if how else outcome


def _fact(key: str, value: Any, style: Style) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if key.endswith("_at"):
            return f"{key[:-3]} {when(iso(value), style.now, style.tty)}"
        if key.endswith("_s"):
            return f"{key[:-2]} {span(value)}"
    return f"{key}={_value(value)}"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if isinstance(value, str) and (" " in text or not text) else text
