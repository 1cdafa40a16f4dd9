"""Print the journal of all jobs: what there is, or with -f what happens from now on."""

from __future__ import annotations

import sys

from jobkeep.cli import values
from jobkeep.cli.failures import OK
from jobkeep.cli.render.events import entry
from jobkeep.cli.wire import FOLLOW_PATIENCE, JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options
    from jobkeep.cli.wire import Wire


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    parser.add_argument("--after", type=values.count, metavar="SEQ", help="only entries behind this one")


def run(context: Context, arguments: Options) -> int:
    reader = _Reader(context, arguments)
    context.link.patience = FOLLOW_PATIENCE
    context.link.patiently(reader.read, "the jobs go on; jobkeep events -f --after SEQ continues")
    return OK


class _Reader:
    """Remembers the last entry, so that another connection continues without a gap."""

    def __init__(self, context: Context, arguments: Options) -> None:
        self._context = context
        self._arguments = arguments
        self._after: int | None = arguments.after

    def read(self, wire: Wire) -> None:
        for reply in wire.stream(JOBS + "Events", after=self._after, follow=self._arguments.follow):
            event = reply.get("event")
            if event is None:
                continue
            if self._arguments.json:
                self._context.print_json(event)
            else:
                self._context.print(entry(event, self._context.style))
            sys.stdout.flush()
            self._after = event["seq"]
