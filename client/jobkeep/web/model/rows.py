"""A job as a row of a list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from jobkeep.protocol.jobs import Job
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeep.web.model import verbs, words
from jobkeep.web.model.progress import Bar, bar
from jobkeep.web.model.verbs import Verb
from jobkeep.web.model.words import Moment, State
from jobkeep.wording import cause, span, told_after


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    short: str
    name: str
    state: State
    why: str  # what is wrong, or what it waits for
    labels: list[str]
    queue: str
    bar: Bar | None
    took: str  # how long it ran, once that is over
    since: Moment
    since_word: str
    verbs: list[Verb]


def row(job: Job, now: datetime) -> Row:
    since, word = _since(job)
    return Row(
        id=job.id,
        short=words.short(job.id),
        name=job.name,
        state=words.state(job.state, job.health if job.state == "running" else "ok"),
        why=why(job),
        labels=[f"{key}={value}" for key, value in sorted(job.labels.items())],
        queue=job.queue,
        bar=bar(job),
        took=span(job.elapsed_s) if job.elapsed_s is not None and job.ended_at else "",
        since=words.moment(since, now),
        since_word=word,
        verbs=verbs.of_row(job),
    )


def why(job: Job) -> str:
    """What is wrong with it, or keeps it from its start; empty where all is as it should be."""
    if job.state in ("failed", "cancelled") or (job.state in ("queued", "scheduled") and job.outcome):
        return told_after(job.state, cause(msgspec.to_builtins(job.outcome), job.kind))
    if job.state in ("queued", "scheduled"):
        return job.held or ""
    if job.state == "running" and job.health != "ok":
        return job.health_reason or ("no heartbeat" if job.health == "late" else "no progress")
    return ""


def _since(job: Job) -> tuple[datetime, str]:
    if job.state in ENDED_STATES and job.ended_at:
        return job.ended_at, "ended"
    if job.state in ("queued", "scheduled") and job.due_at:
        return job.due_at, "next retry" if job.attempt else "due"
    if job.state in ("running", "cancelling") and job.started_at:
        return job.started_at, "started"
    return job.created_at, "submitted"
