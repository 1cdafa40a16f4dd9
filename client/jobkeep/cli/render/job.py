"""One job at length: a sentence of status, then the facts, then what can be done about it."""

from __future__ import annotations

from jobkeep.cli.render.outcome import cause, error_line, told_after
from jobkeep.cli.render.progress import full, tallies
from jobkeep.cli.render.style import BOLD, DIM, RED, Style, state_colour, state_word
from jobkeep.cli.render.table import fields, table
from jobkeep.cli.render.text import clip, escape, json_text
from jobkeep.cli.render.times import span, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Job = dict[str, Any]

ENDED = ("succeeded", "failed", "cancelled")
TRACEBACK_LINES = 20
RESULT_WIDTH = 1000  # --json has all of it


def sentence(job: Job, style: Style) -> str:
    """`✗ failed 3 min ago after 12 min: worker ended by signal 9 (SIGKILL)`."""
    state, health = job["state"], job.get("health", "ok")
    text = state_word(state) + _since(job, state, style)
    if state in ("failed", "cancelled") or (state in ("queued", "scheduled") and job.get("outcome")):
        why = cause(job.get("outcome"), job["kind"])
        text += f": {told_after(state, why)}" if why else ""
    if job.get("held"):
        text += f", ! held: {escape(job['held'])}"
    if health != "ok" and job.get("health_reason"):
        text += f", ! {escape(health)}: {escape(job['health_reason'])}"
    elif health == "late":
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
        word = "next retry" if job.get("attempt") else "due"
        return f", {word} " + when(job["due_at"], style.now, style.tty)
    return ", submitted" + _moment(job.get("created_at"), style)


def _moment(iso: str | None, style: Style) -> str:
    if not iso:
        return ""
    return f" {when(iso, style.now, True)}" if style.tty else f" at {when(iso, style.now, False)}"


def show(job: Job, failed: list[dict[str, Any]], style: Style) -> list[str]:
    """All lines of `jobkeep show`. `failed`: the first failed items."""
    return [*body(job, failed, style), *_actions(job, style)]


def body(job: Job, failed: list[dict[str, Any]], style: Style) -> list[str]:
    """The same without what can be typed next."""
    title = style.paint(escape(job["name"]), BOLD) + "  " + style.paint(style.id(job["id"]), DIM)
    return [
        title,
        sentence(job, style),
        "",
        *fields(_facts(job, style), style),
        *_runs(job, style),
        *_traceback(job, style),
        *_failed_items(job, failed, style),
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
        ("after", _after(spec, style)),
        ("policy", _policy(spec)),
        ("limits", _limits(spec)),
        ("credentials", escape(", ".join(spec.get("credentials") or []))),
        ("secrets", escape(", ".join(spec.get("secrets") or []))),
        ("created", when(job["created_at"], style.now, style.tty)),
        ("started", when(job["started_at"], style.now, style.tty) if job.get("started_at") else ""),
        ("ended", when(job["ended_at"], style.now, style.tty) if job.get("ended_at") else ""),
        ("heartbeat", f"{span(job['heartbeat_age_s'])} ago" if job.get("heartbeat_age_s") is not None else ""),
        ("checkpoint", _checkpoint(checkpoint, style) if checkpoint else ""),
        ("steps", f"{job['steps']} done, not run again" if job.get("steps") else ""),
        ("result", clip(json_text(job["result"], None), RESULT_WIDTH) if "result" in job else ""),
        ("output", _output(job.get("output") or [])),
    ]


def _output(sizes: list[dict[str, Any]]) -> str:
    """`12 MiB of stdout, the first 8 MiB dropped by rotation; 48 bytes of stderr`."""
    if not sizes:
        return ""
    from jobkeep.protocol.sizes import in_words

    parts = []
    for size in sizes:
        gone = f", the first {in_words(size['first'])} dropped by rotation" if size.get("first") else ""
        parts.append(f"{in_words(size['bytes'])} of {escape(size['stream'])}{gone}")
    return "; ".join(parts)


def _after(spec: dict[str, Any], style: Style) -> str:
    """Whom it waits for, or did."""
    ids = [style.id(id) for id in spec.get("after") or []]
    shown = [*ids[:5], *([f"{len(ids) - 5} more"] if len(ids) > 5 else [])]
    labels = [f"all with {escape(key)}={escape(value)}" for key, value in (spec.get("after_label") or {}).items()]
    how = ", however they end" if spec.get("after_any_end") else ""
    return ", ".join([*shown, *labels]) + how


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
    if spec.get("queue_timeout_s") is not None:
        parts.append(f"at most {span(spec['queue_timeout_s'])} in the queue")
    if spec.get("stall_after_s"):
        policy = escape(spec.get("on_stall") or "")
        parts.append(f"stalled after {span(spec['stall_after_s'])}" + (f": {policy}" if policy else ""))
    if spec.get("retries"):
        parts.append("1 retry" if spec["retries"] == 1 else f"{spec['retries']} retries")
    if spec.get("on_lost"):
        parts.append(f"when lost: {escape(spec['on_lost'])}")
    return ", ".join(parts)


def _limits(spec: dict[str, Any]) -> str:
    """What a run may take."""
    parts = []
    if spec.get("memory_bytes") is not None:
        from jobkeep.protocol.sizes import in_words

        parts.append(f"{in_words(spec['memory_bytes'])} of memory")
    if spec.get("cpu") is not None:
        parts.append(f"{spec['cpu']:g} CPU" + ("" if spec["cpu"] == 1 else "s"))
    if spec.get("nofile") is not None:
        parts.append(f"{spec['nofile']} open files")
    if spec.get("nice") is not None:
        parts.append(f"niceness {spec['nice']}")
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
