"""List jobs, newest first: by default the live ones and the 20 that ended last."""

from __future__ import annotations

from jobkeep.cli.failures import OK, RemoteFault
from jobkeep.cli.filters import add_filters, conditions, wanted
from jobkeep.cli.render.jobs import rows
from jobkeep.cli.wire import ADMIN, JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

LIVE = ("scheduled", "queued", "running", "cancelling")
ENDED = ("succeeded", "failed", "cancelled")
LIVE_SHOWN, ENDED_SHOWN, SHOWN, PAGE = 200, 20, 100, 500
EXAMPLES = """\
columns:
  PROGRESS   what the job reports: items done, of how many; and why it is not started, or how it has failed, as far as
             there is room (--no-trunc: all of it; jobkeep explain ID tells more)
  ELAPSED    how long its runs took, the one under way included; what it waited before and between them does not count
  AGE        since it ended, else since it was started first, else since the submit; when that was, as SINCE, elsewhere
             than on a terminal; `due` is when a scheduled job joins its queue
  LEFT       how long it will still take at this pace
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser)
    parser.add_argument("--all", action="store_true", help="no limit")


def run(context: Context, arguments: Options) -> int:
    notices: list[str] = []
    jobs, more = select(context, arguments, notices)
    if arguments.json:
        for job in jobs:
            context.print_json(job)
    elif arguments.quiet:
        context.print(*(job["id"] for job in jobs))
    elif jobs:
        context.print(*rows(jobs, context.style))
    elif context.style.tty:
        context.note("no jobs match" if _filtered(arguments) else "no jobs yet; try: jobkeep run -- echo hello")
    if not jobs and arguments.queue:
        _tell_queues(context, arguments.queue)
    if more == "ended" and not arguments.json:
        context.note(f"only the {ENDED_SHOWN} jobs that ended last are shown: jobkeep ls --all, or --limit N")
    elif more == "more":
        context.note("there are more: jobkeep ls --all, or --limit N")
    for notice in notices:
        context.note(notice)
    return OK


def select(context: Context, arguments: Options, notices: list[str]) -> tuple[list[dict[str, Any]], str]:
    """The jobs to show; and "ended" or "more" if the default limit keeps some that ended, or others, out.

    `notices` gets what the daemon says besides.
    """
    where = conditions(arguments)
    states = wanted("ls", arguments.state or ())
    if states or arguments.since is not None or arguments.all or arguments.limit:
        limit = arguments.limit or (None if arguments.all else SHOWN)
        jobs, more = _pages(context, notices, limit, state=states or None, **where)
        return jobs, "more" if more and not arguments.limit else ""
    live, more = _pages(context, notices, LIVE_SHOWN, state=LIVE, **where)
    ended, more_ended = _pages(context, notices, ENDED_SHOWN, state=ENDED, **where)
    return live + ended, "more" if more else "ended" if more_ended else ""


def _tell_queues(context: Context, queue: str) -> None:
    """An empty list may come from a name that is no queue's."""
    try:
        known = context.link.call(ADMIN + "Status").get("queues") or {}
    except RemoteFault:
        return  # it is only for the note
    if queue not in known:
        context.note(f"there is no queue {queue}; there are: {', '.join(known)}")


def _pages(
    context: Context, notices: list[str], limit: int | None, **where: Any
) -> tuple[list[dict[str, Any]], bool]:
    jobs: list[dict[str, Any]] = []
    before = None
    while limit is None or len(jobs) < limit:
        page = PAGE if limit is None else min(limit - len(jobs), PAGE)
        reply = context.link.call(JOBS + "List", limit=page, before=before, **where)
        jobs += reply["jobs"]
        if reply.get("notice") and reply["notice"] not in notices:
            notices.append(reply["notice"])
        before = reply.get("next")
        if before is None:
            return jobs, False
    return jobs, True


def _filtered(arguments: Options) -> bool:
    return bool(arguments.state or arguments.queue or arguments.label or arguments.since is not None)
