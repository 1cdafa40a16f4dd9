"""What happened to a job: its journal as sentences, newest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from jobkeep.protocol.jobs import Event
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeep.web.model import words
from jobkeep.web.model.masking import masked
from jobkeep.web.model.words import GLYPHS, Moment
from jobkeep.wording import escape, signal_name, span

SHOWN: Final = 200
_HIDDEN: Final = {"seat", "boot_id", "status"}  # what only the daemon understands
_TROUBLE: Final = {"stalled", "lost", "signalled", "survived", "lock_stale", "session_dead", "recovered"}


@dataclass(frozen=True, slots=True)
class Entry:
    seq: int
    at: Moment
    title: str
    detail: str
    by: str
    tone: str


def timeline(history: Sequence[Event], now: datetime) -> tuple[list[Entry], int]:
    """The newest entries, and how many older ones are left out."""
    latest = history[-SHOWN:]
    return [entry(event, now) for event in reversed(latest)], len(history) - len(latest)


def entry(event: Event, now: datetime) -> Entry:
    """One entry of the journal."""
    data = {key: value for key, value in event.data.items() if key not in _HIDDEN}
    outcome = data.pop("outcome", None) if event.kind == "ended" else None
    title = event.kind.replace("_", " ").capitalize()
    if event.run is not None and event.kind not in ENDED_STATES:  # those are of the job; that of the run is `ended`
        title = f"Run {event.run} {event.kind.replace('_', ' ')}"
    if outcome:
        title += f": {outcome}"
    tone = outcome or (event.kind if event.kind in GLYPHS else "trouble" if event.kind in _TROUBLE else "")
    detail = _signal(data) if event.kind == "signalled" and "pid" in data else _facts(data)
    if outcome and isinstance(event.data.get("status"), int) and not event.data.get("reason"):
        detail = ", ".join(filter(None, [_status(event.data["status"]), detail]))
    by = f"by uid {event.by.uid}" if event.by else ""
    return Entry(event.seq, words.moment(event.at, now), title, detail, by, str(tone))


def _signal(data: dict[str, Any]) -> str:
    whom = f"process {data['pid']}" + (f" ({data['command']})" if data.get("command") else "")
    evidence = data.get("evidence") or ["nothing"]
    known = ", ".join(map(str, evidence)) if isinstance(evidence, list) else str(evidence)
    return escape(f"{data.get('signal', '?')} to {whom}: {data.get('reason', '')}; by {known}")


def _status(status: int) -> str:
    """Of a raw wait status."""
    number, code = status & 0x7F, status >> 8 & 0xFF
    return signal_name(number) if number else f"exit code {code}" if code else ""


def _facts(data: dict[str, Any]) -> str:
    reason = data.pop("reason", None)
    found = [escape(str(reason))] if reason else []
    for key, value in masked(data).items():
        name = key.replace("_", " ")
        if isinstance(value, int | float) and not isinstance(value, bool) and key.endswith("_s"):
            found.append(f"{name[:-2]} {span(value)}")
        else:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found.append(escape(f"{name}: {shown}"))
    return ", ".join(found)
