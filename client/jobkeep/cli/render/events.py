"""Journal entries: a line for each."""

from __future__ import annotations

import json

from jobkeep.cli.render.style import BOLD, DIM, Style
from jobkeep.cli.render.text import escape, pad
from jobkeep.cli.render.times import when

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
        _data(event.get("data") or {}),
    ]
    return "  ".join(part for part in parts if part).rstrip()


def _data(data: dict[str, Any]) -> str:
    return escape(" ".join(f"{key}={_value(value)}" for key, value in data.items()))


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if isinstance(value, str) and (" " in text or not text) else text
