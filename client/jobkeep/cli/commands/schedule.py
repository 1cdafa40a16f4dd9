"""Schedules: jobs that are submitted again and again, by the calendar."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

PARTS = ("ls", "add", "show", "pause", "resume", "trigger", "rm")
IN_ORDER = True
EXAMPLES = """\
ls       all schedules, with the next three times of each (also: bare `jobkeep schedule`)
add      submit a command at each time that a cron expression names
show     one schedule
pause    fire it no more; what is due meanwhile is not made up for
resume   fire it again, from now on
trigger  submit its job now, beside its times
rm       forget it; its jobs stay

Each time is fired once at most, also across crashes and sleep. The jobs of a schedule have the
label schedule=NAME: `jobkeep ls --label schedule=nightly`. `jobkeep schedule PART --help` tells more.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"jobkeep schedule {'|'.join(PARTS)} …"
    parser.add_argument("words", nargs="...", metavar="…", help="and what belongs to it")
