"""Queues: the lanes that jobs wait in, with how many of them run at once."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

PARTS = ("ls", "pause", "resume", "limit")
IN_ORDER = True
EXAMPLES = """\
ls       all queues: what runs and waits, limits, who has paused them (also: bare `jobkeep queue`)
pause    start none of its jobs; those that run go on
resume   start its jobs again
limit    how many of its jobs run at once: a number, or `default` for what the configuration says

What is said here counts until it is said otherwise, across restarts. A queue is made by naming it in the configuration,
[queues.NAME]. `jobkeep queue PART --help` tells more.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"jobkeep queue {'|'.join(PARTS)} …"
    parser.add_argument("words", nargs="...", metavar="…", help="and what belongs to it")
