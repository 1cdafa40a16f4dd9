"""Things that have names, such as locks, queues and schedules: how one is asked for, and how they are printed."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.render.style import Style

    Thing = dict[str, Any]


def add_name(parser: argparse.ArgumentParser, what: str) -> None:
    """Which one of those that `jobkeep WHAT ls` shows."""
    parser.add_argument("name", type=values.name, metavar=what.upper(), help=f"as in jobkeep {what} ls")


def add_reason(parser: argparse.ArgumentParser) -> None:
    """Why."""
    parser.add_argument("--reason", type=values.reason, metavar="TEXT", help="why, for whoever asks and the journal")


def print_one(context: Context, thing: Thing, lines: Callable[[Thing, Style], Sequence[str]]) -> int:
    """As JSON, by its name alone, or as people read it."""
    if context.options.json:
        context.print_json(thing)
    elif context.options.quiet:
        context.print(thing["name"])
    else:
        context.print(*lines(thing, context.style))
    return OK


def print_all(
    context: Context, things: Sequence[Thing], rows: Callable[[Sequence[Thing], Style], Sequence[str]], none: str
) -> int:
    """The same for a list, which `none` tells people to be empty; "" says nothing."""
    if none and not things:
        context.note(none)  # on stderr: programs read of nothing that there is nothing
    if context.options.json:
        for thing in things:
            context.print_json(thing)
    elif context.options.quiet:
        context.print(*(thing["name"] for thing in things))
    elif things:
        context.print(*rows(things, context.style))
    return OK
