"""The page of one job: a sentence of status, its buttons, facts, runs and what it waits for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from shlex import join
from typing import Any, Final

import msgspec

from jobkeep.protocol.jobs import Event, ExplainReply, FailedItem, Job, Run, ShownSpec
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeep.web.model import masking, verbs, words
from jobkeep.web.model.progress import Tally, tallies
from jobkeep.web.model.rows import Row, row
from jobkeep.web.model.timeline import Entry, timeline
from jobkeep.web.model.verbs import Verb
from jobkeep.web.model.words import Moment, State
from jobkeep.wording import cause, error_line, escape, span

ITEMS_A_PAGE: Final = 50
FIRST_ITEMS: Final = 10  # on the page of the job itself


@dataclass(frozen=True, slots=True)
class Fact:
    """`at`: the value is a time. `path`: it leads somewhere."""

    label: str
    value: str = ""
    at: Moment | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class RunRow:
    number: int
    state: State
    started: Moment | None
    took: str
    why: str


@dataclass(frozen=True, slots=True)
class ItemRow:
    key: str
    error: str
    traceback: str
    run: int


@dataclass(frozen=True, slots=True)
class JobPage:
    id: str
    row: Row
    sentence: str
    reasons: list[str]
    verbs: list[Verb]
    more: list[Verb]
    tallies: list[Tally]
    facts: list[Fact]
    command: str
    arguments: str
    traceback: str
    runs: list[RunRow]
    timeline: list[Entry]
    earlier: int
    failed_items: int
    moving: bool
    over: bool


def job_page(job: Job, explained: ExplainReply | None, history: Sequence[Event], now: datetime) -> JobPage:
    """Of what the daemon says about a job."""
    entries, earlier = timeline(history, now)
    outcome = job.outcome
    return JobPage(
        id=job.id,
        row=row(job, now),
        sentence=sentence(job, now),
        reasons=[escape(reason.text) for reason in explained.reasons] if explained else [],
        verbs=verbs.of_page(job),
        more=verbs.more(job),
        tallies=tallies(job.progress),
        facts=facts(job, now),
        command=command(job.spec),
        arguments=arguments(job.spec),
        traceback=(outcome.error.traceback or "") if outcome and outcome.error else "",
        runs=runs(job, now),
        timeline=entries,
        earlier=earlier,
        failed_items=job.progress.failed_items,
        moving=job.state in ("running", "cancelling"),
        over=job.state in ENDED_STATES,
    )


def sentence(job: Job, now: datetime) -> str:
    """`failed 3 min ago after 12 min`."""
    if job.state in ENDED_STATES and job.ended_at:
        after = f" after {span(job.elapsed_s)}" if job.elapsed_s is not None else ""
        return f"{words.moment(job.ended_at, now).text}{after}"
    if job.state in ("running", "cancelling"):
        text = f"for {span(job.elapsed_s)}" if job.elapsed_s is not None else ""
        return f"{text}, run {job.attempt}" if job.attempt > 1 else text
    if job.due_at:
        return f"{'next retry' if job.attempt else 'due'} {words.moment(job.due_at, now).text}"
    return f"submitted {words.moment(job.created_at, now).text}"


def command(spec: ShownSpec) -> str:
    """The command as one could type it, or the name of the function."""
    return escape(join(masking.command(spec.command))) if spec.command else escape(spec.function or "")


def arguments(spec: ShownSpec) -> str:
    """All of them, as JSON that people can read; secrets are masked."""
    if not spec.arguments:
        return ""
    return json.dumps(masking.masked(spec.arguments), indent=2, ensure_ascii=False)


def facts(job: Job, now: datetime) -> list[Fact]:
    """What is to be said beside the state; without what does not apply."""
    spec = job.spec
    found = [
        Fact("Id", job.id),
        Fact("Queue", job.queue, path="/queues"),
        Fact("Labels", ", ".join(f"{key}={value}" for key, value in sorted(job.labels.items()))),
        Fact("Lock", job.lock or "", path="/locks"),
        Fact("Key", job.key or ""),
        Fact("Priority", str(job.priority) if job.priority else ""),
        Fact("After", _after(spec)),
        Fact("Submitted", at=words.moment(job.created_at, now)),
        Fact("Started", at=words.moment(job.started_at, now) if job.started_at else None),
        Fact("Ended", at=words.moment(job.ended_at, now) if job.ended_at else None),
        Fact("Heartbeat", f"{span(job.heartbeat_age_s)} ago" if job.heartbeat_age_s is not None else ""),
        Fact("Checkpoint", f"number {job.checkpoint.seq}" if job.checkpoint else ""),
        Fact("Steps", f"{job.steps} done, not run again" if job.steps else ""),
        Fact("Policy", _policy(spec)),
        Fact("Directory", escape(spec.cwd or "")),
        Fact("Interpreter", escape(spec.python or "")),
        Fact("Environment", _environment(spec)),
        Fact("Credentials", ", ".join(spec.credentials)),
        Fact("Secrets", escape(", ".join(spec.secrets))),
    ]
    return [fact for fact in found if fact.value or fact.at]


def _after(spec: ShownSpec) -> str:
    named = [words.short(id) for id in spec.after[:5]]
    if len(spec.after) > 5:
        named.append(f"{len(spec.after) - 5} more")
    named += [f"all with {key}={value}" for key, value in spec.after_label.items()]
    return ", ".join(named) + (", however they end" if spec.after_any_end else "")


def _policy(spec: ShownSpec) -> str:
    parts = []
    if spec.timeout_s is not None:
        parts.append(f"at most {span(spec.timeout_s)} a run")
    if spec.queue_timeout_s is not None:
        parts.append(f"at most {span(spec.queue_timeout_s)} in the queue")
    if spec.stall_after_s:
        parts.append(f"stalled after {span(spec.stall_after_s)}" + (f": {spec.on_stall}" if spec.on_stall else ""))
    if spec.retries:
        parts.append(words.counted(spec.retries, "retry", "retries"))
    if spec.on_lost:
        parts.append(f"when lost: {spec.on_lost}")
    return ", ".join(parts)


def _environment(spec: ShownSpec) -> str:
    shown: dict[str, Any] = masking.masked(dict(spec.env))
    return escape(" ".join(f"{name}={value}" for name, value in sorted(shown.items())))


def runs(job: Job, now: datetime) -> list[RunRow]:
    """Newest first. One that is merely claimed for a job in the queue is none yet."""
    begun = [run for run in job.runs if run.started_at or run.outcome]
    ordered = sorted(begun, key=lambda run: -run.number)
    last = next((run.number for run in ordered if run.outcome), None)
    return [_run(job, run, run.number == last, now) for run in ordered]


def _run(job: Job, run: Run, last: bool, now: datetime) -> RunRow:
    took = ""
    if run.started_at:
        took = span(((run.ended_at or now) - run.started_at).total_seconds())
    why = ""
    if run.outcome:
        error = job.outcome.error if last and job.outcome and job.outcome.kind == run.outcome else None
        told: dict[str, Any] = {**msgspec.to_builtins(run), "kind": run.outcome}
        why = cause({**told, "error": msgspec.to_builtins(error) if error else None}, job.kind)
    started = words.moment(run.started_at, now) if run.started_at else None
    return RunRow(run.number, words.state(run.outcome or "running"), started, took, why)


def item(failed: FailedItem) -> ItemRow:
    """One item that failed."""
    error = msgspec.to_builtins(failed.error)
    return ItemRow(escape(failed.key), error_line(error), failed.error.traceback or "", failed.run)
