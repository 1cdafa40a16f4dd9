"""Sessions: named long-lived processes, handed out to one user at a time."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

PARTS = ("ls", "open", "close")
IN_ORDER = True
EXAMPLES = """\
ls       all sessions: their states, and who uses them (also: bare `jobkeep session`)
open     have one ready: checked, and started where it is dead or not there; with a command, use it while that runs
close    end its process

They are configured as [sessions.NAME]. A program uses one with `jk.session(NAME)`. Each is run by a job of the queue
`sessions`, so that logs, show and history tell more. `jobkeep session PART --help` tells more.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"jobkeep session {'|'.join(PARTS)} …"
    parser.add_argument("words", nargs="...", metavar="…", help="and what belongs to it")
