"""Locks: named mutual exclusion between jobs, programs and commands of this host."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

PARTS = ("ls", "show", "reset", "run")
IN_ORDER = True
EXAMPLES = """\
ls       the locks that are held (also: bare `jobkeep lock`)
show     one lock: who has it, since when, who waits
reset    take it from its holder; its token rises
run      run a command while holding a lock

A job holds one with `jobkeep run --lock NAME`, a program with `jk.lock(NAME)`. `jobkeep lock PART --help` tells more.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"jobkeep lock {'|'.join(PARTS)} …"
    parser.add_argument("words", nargs="...", metavar="…", help="and what belongs to it")
