"""Show how jobs are doing, as it changes: the jobs named, or all that live and those that ended last."""

from __future__ import annotations

import sys

from jobkeep.cli.commands.ls import ENDED
from jobkeep.cli.context import columns
from jobkeep.cli.failures import FAILED, OK
from jobkeep.cli.render import watch as render
from jobkeep.cli.render.jobs import rows
from jobkeep.cli.screen import Screen, possible
from jobkeep.cli.tail import end_of_output
from jobkeep.cli.targets import job_id
from jobkeep.cli.watching import RUNNING, Everything, Named, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

    Job = dict[str, Any]

OUTPUT = 10  # lines of each stream at most
PACE, PACE_OF_PROGRAMS = 5.0, 1.0  # seconds between two lines that tell of no more than progress
EXAMPLES = """\
examples:
  jobkeep watch                  a table, redrawn in place; Ctrl-C leaves, the jobs go on
  jobkeep watch k3x9             bar, time left, note, tallies and the end of the output; until it has ended
  jobkeep watch k3x9 m7aa | tee log
                                 no terminal: a line for each change
  jobkeep watch --json k3x9      the job, as in show --json, for each change

A change is one of state, run or health at once, one of progress every 5 s (--json: every second). What lasted for less
than a moment may be left out: jobkeep events -f has all.

Exit codes: 0 all jobs named have succeeded, 1 one did not, 3 there is no such job, 130 Ctrl-C.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="or the first characters of it; default: all jobs")


def run(context: Context, arguments: Options) -> int:
    ids = [job_id(id) for id in arguments.ids]
    watched = Named(context.link, ids) if ids else Everything(context.link)
    if not possible() or arguments.json or arguments.quiet:
        jobs = Watch(context, watched, Lines(context, ended_too=bool(ids))).to_the_end()
    else:
        context.live = screen = Screen()
        view = Picture(context, screen) if len(ids) == 1 else Table(context, screen)
        try:
            jobs = Watch(context, watched, view).to_the_end()
        except KeyboardInterrupt:
            screen.leave()
            raise
    return OK if all(job["state"] == "succeeded" for job in jobs) else FAILED


class Lines:
    """A line for each change. Of jobs that have ended before only those are told that were asked for."""

    def __init__(self, context: Context, ended_too: bool) -> None:
        self._context = context
        self._silent = None if ended_too else ENDED
        self._told: dict[str, tuple[object, object, float]] = {}  # what was told of each job, and when
        self._pace = PACE_OF_PROGRAMS if context.options.json else PACE

    def show(self, jobs: list[Job]) -> None:
        now = self._context.style.now
        told = {}
        for job in jobs:
            before = self._told.get(job["id"])
            news = (job["state"], job["attempt"], job["health"]), job["progress"]
            if before is None or news[0] != before[0] or (news[1] != before[1] and now - before[2] >= self._pace):
                self._tell(job)
                before = (*news, now)
            told[job["id"]] = before
        self._told, self._silent = told, None
        sys.stdout.flush()

    def _tell(self, job: Job) -> None:
        if self._silent is not None and job["state"] in self._silent:
            return
        if self._context.options.json:
            self._context.print_json(job)
        elif not self._context.options.quiet:
            self._context.print(render.change(job, self._context.style))
        elif job["state"] in ENDED:
            self._context.print(job["id"])


class Table:
    """A row for each job, as far as there is room."""

    def __init__(self, context: Context, screen: Screen) -> None:
        self._context = context
        self._screen = screen

    def show(self, jobs: list[Job]) -> None:
        style, room = self._context.style, self._screen.rows - 1  # beside the titles
        style.width = columns()
        shown = jobs if len(jobs) <= room else jobs[: room - 1]
        lines = rows(shown, style) if jobs else ["no jobs yet"]
        self._screen.draw([*lines, *render.more(len(jobs) - len(shown), style)])


class Picture:
    """One job, with the end of its output."""

    def __init__(self, context: Context, screen: Screen) -> None:
        self._context = context
        self._screen = screen
        self._tail: dict[str, list[str]] = {}

    def show(self, jobs: list[Job]) -> None:
        job, rows = jobs[0], self._screen.rows
        if job["state"] in (*RUNNING, *ENDED):
            self._tail = end_of_output(self._context.link, job["id"], min(rows, OUTPUT))
        self._context.style.width = columns()
        self._screen.draw(render.one(job, self._tail, self._context.style, rows))
