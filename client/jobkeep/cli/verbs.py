"""What cancel, resume and restart share: each job is asked for, one line each."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.render.style import state_colour, state_word
from jobkeep.cli.targets import add_ids, each
from jobkeep.cli.wire import JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def add_options(parser: argparse.ArgumentParser) -> None:
    """Ids and --reason."""
    add_ids(parser)
    parser.add_argument("--reason", type=values.reason, metavar="TEXT", help="why, for the journal")


def act(context: Context, arguments: Options, method: str, **flags: bool) -> int:
    """Call `method` for every id, and say what state that led to."""
    given = {name: True for name, value in flags.items() if value}

    def one(id: str) -> None:
        again = f"whether it took effect is unknown; jobkeep show {id} tells"
        # To cancel twice is to cancel; a second resume would be refused, a second restart would end the new run.
        ask = context.link.call if method == "Cancel" else context.link.once
        reply = ask(JOBS + method, again=again, id=id, reason=arguments.reason, **given)
        if arguments.json:
            context.print_json(reply)
        elif arguments.quiet:
            context.print(reply["id"])
        else:
            state = context.style.paint(state_word(reply["state"]), state_colour(reply["state"]))
            context.print(f"{context.id(reply['id'])}  {state}")

    return each(context, arguments.ids, one)
