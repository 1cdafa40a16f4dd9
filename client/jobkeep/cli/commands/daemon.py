"""The daemon: start, stop and drain it, look at it, and check what it is set to."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

PARTS = ("status", "start", "drain", "reload", "stop", "check", "backup", "restore", "check-config", "install")
IN_ORDER = True
EXAMPLES = """\
status         what it is and does; never starts one (also: bare `jobkeep daemon`)
start          start your own daemon in the background; returns when it answers
drain          start no more jobs, and interrupt running functions at their next checkpoint
reload         follow the configuration as it is by now, without a restart
stop           end it; running jobs go on, and the next daemon adopts them
check          read all of its database, and tell what is wrong with it
backup         copy its database into a file, while it goes on
restore        put such a file in the place of the database of a daemon that is stopped
check-config   all that is wrong with the configuration, or what it comes to
install        the units that let systemd run it

`jobkeep daemon PART --help` tells more.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"jobkeep daemon {'|'.join(PARTS)} …"
    parser.add_argument("words", nargs="...", metavar="…", help="and what belongs to it")
