"""Checkpoints of a command, from inside it: what one run saves, the next one of the job gets."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

PARTS = ("get", "set")
IN_ORDER = True
EXAMPLES = """\
get      print what was saved last, as JSON (also: bare `jobkeep checkpoint`)
set      save a JSON value; durable once the command returns

    start=$(jobkeep checkpoint get --default 0)
    for ((i = start; i < 313; i++)); do
      work_on "$i"
      jobkeep checkpoint set $((i + 1))
    done

`jobkeep checkpoint PART --help` tells more.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"jobkeep checkpoint {'|'.join(PARTS)} …"
    parser.add_argument("words", nargs="...", metavar="…", help="and what belongs to it")
