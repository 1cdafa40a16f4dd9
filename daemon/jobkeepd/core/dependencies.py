"""Jobs that wait for the end of others: what such an end means for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.model import Job

MOST_PARENTS = 20_000  # of the jobs of one submit: they are settled in one commit, which others wait for


def has_parents(spec: JobSpec) -> bool:
    return bool(spec.after or spec.after_label)


def disappoints(parent: Job, spec: JobSpec) -> bool:
    """Whether a job of that spec is not to run any more, since `parent` has ended as it has."""
    return parent.state in ENDED_STATES and parent.state != "succeeded" and not spec.after_any_end


def why_not(parent: Job) -> str:
    """The reason of a job that has failed for it."""
    how = "was cancelled" if parent.state == "cancelled" else "has failed"
    return f"job {parent.id}, after which it was to run, {how}"


def first_disappointment(parents: Iterable[Job], spec: JobSpec) -> Job | None:
    return next((parent for parent in parents if disappoints(parent, spec)), None)
