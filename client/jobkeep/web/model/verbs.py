"""What can be done with a job: the buttons by the daemon's own answer, and the paths they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jobkeep.protocol.jobs import Action, Job
from jobkeep.protocol.vocabulary import ENDED_STATES


@dataclass(frozen=True, slots=True)
class Kind:
    """A verb by itself: how its button looks, and what it does."""

    label: str
    glyph: str
    tone: str
    hint: str


@dataclass(frozen=True, slots=True)
class Verb:
    """One button. `refusal` says why it cannot be pressed now, and is empty where it can."""

    name: str
    kind: Kind
    refusal: str
    asks_back: bool


VERBS: Final = {
    "resume": Kind("Resume", "▶", "go", "Continue from its checkpoint"),
    "resume_failed_items": Kind("Resume failed items", "▶", "go", "Run only the items again that failed"),
    "restart": Kind("Restart", "↻", "again", "End the run for sure, then continue from the checkpoint"),
    "restart_from_start": Kind("Restart from start", "↻", "again", "End the run for sure and forget the checkpoint"),
    "cancel": Kind("Cancel", "✕", "stop", "Ask it to stop, then make it"),
    "force_cancel": Kind("Force", "✕", "stop", "Stop it for sure, without asking it first"),
    "rm": Kind("Remove", "–", "plain", "Forget it, with its output"),
}
ASKED_BACK: Final = ("restart_from_start", "rm")


def of_row(job: Job) -> list[Verb]:
    """The few that a row has room for: those that its state is meant for."""
    if job.state == "succeeded":
        return []
    if job.state in ENDED_STATES:
        return [_verb(job, "resume")]
    if job.state == "running":
        return [_verb(job, "restart"), _verb(job, "cancel")]
    return [_verb(job, "cancel")]


def of_page(job: Job) -> list[Verb]:
    """The main ones of the job's own page: what cannot be pressed says why. A success needs none."""
    if job.state == "succeeded":
        return [each for each in (_verb(job, "resume_failed_items"),) if not each.refusal]
    names = ["resume", "restart", "force_cancel" if job.state == "cancelling" else "cancel"]
    if job.progress.failed_items:
        names.insert(1, "resume_failed_items")
    return [_verb(job, name) for name in names]


def more(job: Job) -> list[Verb]:
    """What is needed seldom, or wants a second thought."""
    names = ["restart_from_start", *(["force_cancel"] if job.state == "running" else []), "rm"]
    return [each for each in (_verb(job, name) for name in names) if not each.refusal]


def _verb(job: Job, name: str) -> Verb:
    action = _action(job, name)
    refusal = "" if action is not None and action.allowed else (action and action.reason) or "not possible now"
    return Verb(name, VERBS[name], refusal, name in ASKED_BACK)


def _action(job: Job, name: str) -> Action | None:
    actions = job.actions
    return {
        "resume": actions.resume,
        "resume_failed_items": actions.resume_failed_items,
        "restart": actions.restart,
        "restart_from_start": actions.restart,
        "cancel": actions.cancel,
        "force_cancel": actions.cancel,
        "rm": actions.rm,
    }[name]
