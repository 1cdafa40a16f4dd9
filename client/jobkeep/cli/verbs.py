"""What cancel, resume and restart share: each job is asked for, one line each."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import RemoteFault
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
        try:
            reply = ask(JOBS + method, again=again, id=id, reason=arguments.reason, **given)
        except RemoteFault as fault:
            if method == "Resume" and fault.name == "Refused" and not given:
                fault.hint = _failed_items(context, id) or fault.hint
            raise
        if arguments.json:
            context.print_json(reply)
        elif arguments.quiet:
            context.print(reply["id"])
        else:
            context.print(f"{context.id(reply['id'])}  {_became(context, method, reply['state'])}")

    return each(context, arguments.ids, one)


def _became(context: Context, method: str, state: str) -> str:
    """The state in words; a job whose run is still being ended for a restart has none of its own for that."""
    word = "↻ restarting" if method == "Restart" and state == "running" else state_word(state)
    return context.style.paint(word, state_colour(state))


def _failed_items(context: Context, id: str) -> str | None:
    """A job that is done may still have items to run again."""
    job = context.link.call(JOBS + "Get", id=id)["job"]
    if not job["actions"].get("resume_failed_items", {}).get("allowed"):
        return None
    return f"jobkeep resume {context.id(job['id'])} --failed-items runs the items again that failed"
