"""One job at length: a sentence of status, then the facts, then what can be done about it."""

from __future__ import annotations

from jobkeep.cli.render.outcome import cause, error_line
from jobkeep.cli.render.progress import full, tallies
from jobkeep.cli.render.style import BOLD, DIM, RED, Style, state_colour, state_word
from jobkeep.cli.render.table import fields, table
from jobkeep.cli.render.text import escape
from jobkeep.cli.render.times import span, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Job = dict[str, Any]

ENDED = ("succeeded", "failed", "cancelled")
TRACEBACK_LINES = 20


def sentence(job: Job, style: Style) -> str:
    """`✗ failed 3 min ago after 12 min: worker ended by signal 9 (SIGKILL)`."""
    state, health = job["state"], job.get("health", "ok")
    text = state_word(state) + _since(job, state, style)
    if state in ("failed", "cancelled") or (state in ("queued", "scheduled") and job.get("outcome")):
        why = cause(job.get("outcome"), job["kind"])
        text += f": {why}" if why else ""
    if health == "late":
        text += ", ! late: no heartbeat" + _for(job.get("heartbeat_age_s"))
    elif health == "stalled":
        text += ", ! stalled: no progress" + _for(job.get("stuck_for_s"))
    return style.paint(text, state_colour(state, health))


def _for(seconds: float | None) -> str:
    return f" for {span(seconds)}" if seconds is not None else ""


def _since(job: Job, state: str, style: Style) -> str:
    if state in ENDED:
        return _moment(job.get("ended_at"), style) + (
            f" after {span(job['elapsed_s'])}" if job.get("elapsed_s") is not None else ""
        )
    if state in ("running", "cancelling"):
        return _for(job.get("elapsed_s")) + (f" (run {job['attempt']})" if job.get("attempt", 0) > 1 else "")
    if job.get("due_at"):
        return ", due " + when(job["due_at"], style.now, style.tty)
    return ", submitted" + _moment(job.get("created_at"), style)


def _moment(iso: str | None, style: Style) -> str:
    if not iso:
        return ""
    return f" {when(iso, style.now, True)}" if style.tty else f" at {when(iso, style.now, False)}"


def show(job: Job, failed: list[dict[str, Any]], style: Style) -> list[str]:
    """All lines of `jobkeep show`. `failed`: the first failed items."""
    title = style.paint(escape(job["name"]), BOLD) + "  " + style.paint(style.id(job["id"]), DIM)
    return [
        title,
        sentence(job, style),
        "",
        *fields(_facts(job, style), style),
        *_runs(job, style),
        *_traceback(job, style),
        *_failed_items(job, failed, style),
        *_actions(job, style),
    ]


def _facts(job: Job, style: Style) -> list[tuple[str, str]]:
    spec, progress = job.get("spec") or {}, job.get("progress") or {}
    checkpoint = job.get("checkpoint")
    return [
        (job["kind"], what(spec)),
        ("directory", escape(spec.get("cwd") or "")),
        ("progress", full(progress, job.get("elapsed_s"), job["state"] == "running", style.tty)),
        ("tallies", tallies(progress)),
        ("note", escape(progress.get("note") or "")),
        ("queue", escape(job["queue"])),
        ("priority", str(job["priority"]) if job.get("priority") else ""),
        ("labels", ", ".join(f"{escape(key)}={escape(value)}" for key, value in (job.get("labels") or {}).items())),
        ("key", escape(job.get("key") or "")),
        ("lock", escape(job.get("lock") or "")),
        ("policy", _policy(spec)),
        ("created", when(job["created_at"], style.now, style.tty)),
        ("started", when(job["started_at"], style.now, style.tty) if job.get("started_at") else ""),
        ("ended", when(job["ended_at"], style.now, style.tty) if job.get("ended_at") else ""),
        ("heartbeat", f"{span(job['heartbeat_age_s'])} ago" if job.get("heartbeat_age_s") is not None else ""),
        ("checkpoint", _checkpoint(checkpoint, style) if checkpoint else ""),
    ]


def _checkpoint(checkpoint: dict[str, Any], style: Style) -> str:
    return f"#{checkpoint['seq']}{',' if style.tty else ''}{_moment(checkpoint['at'], style)}"


def what(spec: dict[str, Any]) -> str:
    """The command as one could type it, or the function with its arguments."""
    if spec.get("command"):
        from shlex import join

        return escape(join(spec["command"]))
    arguments = ", ".join(f"{key}={value!r}" for key, value in (spec.get("arguments") or {}).items())
    return escape(f"{spec.get('function') or '?'}({arguments})")


def _policy(spec: dict[str, Any]) -> str:
    parts = []
    if spec.get("timeout_s") is not None:
        parts.append(f"at most {span(spec['timeout_s'])} a run")
    if spec.get("retries"):
        parts.append("1 retry" if spec["retries"] == 1 else f"{spec['retries']} retries")
    if spec.get("on_lost"):
        parts.append(f"when lost: {escape(spec['on_lost'])}")
    return ", ".join(parts)


def _runs(job: Job, style: Style) -> list[str]:
    # A run that is merely claimed for a job in the queue is none yet; one that could not be started is.
    begun = [run for run in job.get("runs") or [] if run.get("started_at") or run.get("outcome")]
    runs = sorted(begun, key=lambda run: -int(run["number"]))
    if not runs:
        return []
    rows = []
    for run in runs:
        outcome = run.get("outcome") or "running"
        rows.append(
            [
                (f"  {run['number']}", None),
                (state_word(outcome), state_colour(outcome)),
                (when(run["started_at"], style.now, style.tty) if run.get("started_at") else "-", None),
                (when(run["ended_at"], style.now, style.tty) if run.get("ended_at") else "-", None),
                (_why(job, run, runs), None),
            ]
        )
    return ["", *table(("  RUN", "OUTCOME", "STARTED", "ENDED", "WHY"), rows, style, flexible=4)]


def _why(job: Job, run: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """The job tells the error of its latest end only, which is that of its latest ended run."""
    if not run.get("outcome"):
        return ""
    outcome = job.get("outcome") or {}
    last = next(one["number"] for one in runs if one.get("outcome"))
    error = outcome.get("error") if run["number"] == last and outcome.get("kind") == run["outcome"] else None
    return cause({**run, "kind": run["outcome"], "error": error}, job["kind"])


def _traceback(job: Job, style: Style) -> list[str]:
    text = ((job.get("outcome") or {}).get("error") or {}).get("traceback") or ""
    lines = [f"  {escape(line.expandtabs())}" for line in text.rstrip().splitlines()]
    if not lines:
        return []
    cut = ["  …"] if len(lines) > TRACEBACK_LINES else []
    return ["", style.paint("traceback:", BOLD), *cut, *lines[-TRACEBACK_LINES:]]


def _failed_items(job: Job, items: list[dict[str, Any]], style: Style) -> list[str]:
    total = (job.get("progress") or {}).get("failed_items") or 0
    if not items:
        return []
    rows = [[(f"  {escape(item['key'])}", None), (error_line(item["error"]), RED)] for item in items]
    more = [f"  and {total - len(items)} more"] if total > len(items) else []
    return ["", *table(("  FAILED ITEM", "ERROR"), rows, style, flexible=1), *more]


# How a verb is typed, where it is not simply `VERB ID`.
_COMMANDS = {"resume_failed_items": "resume ID --failed-items"}


def _actions(job: Job, style: Style) -> list[str]:
    allowed = [verb for verb, action in (job.get("actions") or {}).items() if action.get("allowed")]
    typed = [_COMMANDS.get(verb, f"{escape(verb)} ID") for verb in allowed]
    lines = [f"  jobkeep {command.replace('ID', style.id(job['id']))}" for command in typed]
    return ["", style.paint("possible now:", BOLD), *lines] if lines else []
