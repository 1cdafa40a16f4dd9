"""Which key does what to a job, and why one does not: by the job's own `actions`. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobkeep.cli.render.style import BOLD, DIM, Style
from jobkeep.cli.render.text import escape

Job = dict[str, Any]


@dataclass(frozen=True)
class Verb:
    """`question` is asked first, about one job; "" asks nothing."""

    key: str
    name: str
    action: str  # of the job's actions
    method: str
    flags: dict[str, bool] = field(default_factory=dict)
    question: str = ""


VERBS = (
    Verb("c", "cancel", "cancel", "Cancel", question="Cancel {}?"),
    Verb("C", "force", "cancel", "Cancel", {"force": True}, "Kill {} at once, without asking it first?"),
    Verb("r", "resume", "resume", "Resume"),
    Verb("R", "failed items", "resume_failed_items", "Resume", {"failed_items": True}),
    Verb("s", "restart", "restart", "Restart", question="End the run of {}, and go on from its checkpoint?"),
    Verb(
        "S", "from the start", "restart", "Restart", {"from_start": True},
        "End the run of {}, forget its checkpoint, and begin at the start?",
    ),
    Verb("x", "forget", "rm", "Remove", question="Forget {}, with its output?"),
)  # fmt: skip
OTHERS = (("enter", "job"), ("esc", "back"), ("/", "filter"), ("tab", "next"), ("q", "quit"))


def refusal(job: Job, verb: Verb) -> str | None:
    """Why the daemon would not do it now; None: it would."""
    action = (job.get("actions") or {}).get(verb.action)
    if action is None:
        return "this daemon does not say whether that is possible"
    return None if action["allowed"] else str(action["reason"] or "not now")


def named(job: Job, style: Style) -> str:
    """`job k3x9a0b1 (backup)`."""
    return f"job {style.id(job['id'])} ({escape(job['name'])})"


def keys(job: Job | None, style: Style) -> list[str]:
    """Those of the verbs, dim where they are refused, and all others: as many lines as that takes."""
    lines, room = [""], 0
    for key, name, possible in [*_verbs(job), *((key, name, True) for key, name in OTHERS)]:
        columns = len(key) + 1 + len(name)
        if lines[-1] and 2 + columns > room:
            lines.append("")
        if not lines[-1]:
            room = style.width or 80
        text = f"{style.paint(key, BOLD)} {name}" if possible else style.paint(f"{key} {name}", DIM)
        lines[-1] += f"  {text}" if lines[-1] else text
        room -= columns + 2
    return lines


def _verbs(job: Job | None) -> list[tuple[str, str, bool]]:
    return [(verb.key, verb.name, job is not None and refusal(job, verb) is None) for verb in VERBS]


def possibilities(job: Job, style: Style) -> list[str]:
    """A line for each key, with the reason where it is refused."""
    lines = []
    for verb in VERBS:
        why = refusal(job, verb)
        if why is None:
            lines.append(f"  {style.paint(verb.key, BOLD)}  {verb.name}")
        else:
            lines.append(style.paint(f"  {verb.key}  {verb.name}: {escape(why)}", DIM))
    return lines
