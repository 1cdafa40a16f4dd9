"""Forget a schedule; its jobs stay."""

from __future__ import annotations

from jobkeep.cli.named import add_name, add_reason, print_one
from jobkeep.cli.render.text import escape
from jobkeep.cli.wire import SCHEDULES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_name(parser, "schedule")
    add_reason(parser)


def run(context: Context, arguments: Options) -> int:
    again = f"whether it took effect is unknown; jobkeep schedule show {arguments.name} tells"
    reply = context.link.once(SCHEDULES + "Remove", again=again, name=arguments.name, reason=arguments.reason)
    return print_one(context, reply["schedule"], lambda schedule, _: [f"{escape(schedule['name'])}  removed"])
