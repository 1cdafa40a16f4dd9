"""What recovery found, and why a job does not move."""

from __future__ import annotations

from jobkeep.cli.render.progress import counts
from jobkeep.cli.render.style import DIM, GREEN, RED, YELLOW, Style, state_colour, state_word
from jobkeep.cli.render.table import Cell, table
from jobkeep.cli.render.text import escape, wrapped
from jobkeep.cli.render.times import span, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_COLOURS = {"fail": RED, "resume": GREEN, "adopt": YELLOW, "leave": DIM}
_TITLES = ("ID", "STATE", "PROGRESS", "LABELS", "CREATED", "STUCK FOR", "VERDICT", "ACTION", "REASON")


def findings(rows: Sequence[dict[str, Any]], style: Style) -> list[str]:
    """A row for each run that is under way."""
    if not rows:
        return []
    return table(_TITLES, [_row(row, style) for row in rows], style, flexible=8, spare=(3, 4))


def _row(row: dict[str, Any], style: Style) -> list[Cell]:
    labels = ",".join(f"{escape(key)}={escape(value)}" for key, value in sorted(row["labels"].items()))
    action = row["action"]
    return [
        (style.id(row["id"]), None),
        (state_word(row["state"], row["health"]), state_colour(row["state"], row["health"])),
        (counts(row["progress"]), None),
        (labels, None),
        (when(row["created_at"], style.now, style.tty), DIM),
        (span(row["stuck_for_s"]) if row["stuck_for_s"] is not None else "", None),
        (escape(row["verdict"]), None),
        (escape(action), _COLOURS.get(action)),
        (escape(row["reason"]), None),
    ]


def summary(rows: Sequence[dict[str, Any]], check: bool) -> str:
    """In one line."""
    if not rows:
        return "no run is under way"
    acted = [f"{sum(row['action'] == action for row in rows)} {past}" for action, past in _PAST if _any(rows, action)]
    if not acted:
        return f"{len(rows)} under way, nothing to recover"
    return f"{len(rows)} under way: {', '.join(acted)}" + (" (only checked: nothing was changed)" if check else "")


_PAST = (("fail", "to fail"), ("resume", "to resume"), ("adopt", "to adopt"), ("leave", "to leave alone"))


def _any(rows: Sequence[dict[str, Any]], action: str) -> bool:
    return any(row["action"] == action for row in rows)


def explanation(said: dict[str, Any], style: Style) -> list[str]:
    """The state, a line for each reason, and what may be done."""
    state, health = said["state"], said["health"]
    lines = [f"{style.id(said['id'])}  {style.paint(state_word(state, health), state_colour(state, health))}"]
    for reason in said["reasons"]:
        lines += wrapped(f"  - {escape(reason['text'])}", style.width, 4)
    id = style.id(said["id"])
    lines += [f"next: jobkeep {escape(look)}" for look in _looks(said, id)]
    allowed = [f"jobkeep {_verb(name, id)}" for name, action in said["actions"].items() if action["allowed"]]
    refused = [(_verb(name, ""), action["reason"]) for name, action in said["actions"].items() if not action["allowed"]]
    lines.append(f"possible: {', '.join(allowed) or 'nothing'}")
    for verb, reason in refused:
        shown = wrapped(f"not possible: {verb}: {escape(reason or '')}", style.width, 4)
        lines += [style.paint(line, DIM) for line in shown]
    return lines


# What to type, by what keeps the job: where it is known what that is, and where it is not.
_ABOUT = {
    "after": ("explain {name}",), "lock": ("lock show {name}",), "key": ("explain {name}",),
    "paused": ("queue resume {name}",), "limit": ("queue limit {name} N",),
}  # fmt: skip
_LOOKS = {
    "after": ("show {id}",), "lock": ("lock ls",), "key": ("ls",), "paused": ("queue ls",),
    "limit": ("ls --state running",), "draining": ("daemon drain --off",),
    "due": ("show {id}",), "starting": ("watch {id}",),
    "running": ("watch {id}",), "stopping": ("watch {id}",), "fenced": ("history {id}",), "health": ("logs {id}",),
    "recovery": ("recover --check",), "outcome": ("show {id}", "logs {id}"),
}  # fmt: skip
_AGAIN = "show {id} --json | jq -c .spec | jobkeep run --from-file -    (the same again)"


def _looks(said: dict[str, Any], id: str) -> list[str]:
    found = []
    for reason in said["reasons"]:
        name = reason.get("name")
        looks = _ABOUT.get(reason["kind"]) if name else None
        found += [look.format(id=id, name=name) for look in looks or _LOOKS.get(reason["kind"], ())]
    if said["state"] == "succeeded":
        found.append(_AGAIN.format(id=id))
    return list(dict.fromkeys(found))


def _verb(name: str, id: str) -> str:
    verb, option = ("resume", "--failed-items") if name == "resume_failed_items" else (escape(name), "")
    return " ".join(part for part in (verb, id, option) if part)
