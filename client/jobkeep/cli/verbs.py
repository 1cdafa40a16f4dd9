"""What cancel, resume, restart and rm share: each job is asked for, one line each; or all that match."""

from __future__ import annotations

from jobkeep.cli import matching
from jobkeep.cli.failures import Failure, RemoteFault, UsageError
from jobkeep.cli.filters import add_filters
from jobkeep.cli.render.style import state_colour, state_word
from jobkeep.cli.targets import add_ids, each
from jobkeep.cli.wire import JOBS
from jobkeep.errors import JobkeepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


WORDS = {"Cancel": "cancel", "Resume": "resume", "Restart": "restart", "Remove": "rm"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Ids, or the conditions that all have to match."""
    add_ids(parser, needed=False)
    matching.add_arguments(parser)
    add_filters(parser)


def act(context: Context, arguments: Options, method: str, **flags: bool) -> int:
    """Call `method` for every id, and say what state that led to; or for all that match."""
    if _all_matching(arguments, method):
        return matching.act_on_matching(context, arguments, WORDS[method], method, **flags)
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
            became = _became(context, method, reply.get("state", "removed"))
            goes_on = method in ("Resume", "Restart") and "from_start" not in given
            where = _where(context, reply["id"], given) if goes_on else ""
            context.print(f"{context.id(reply['id'])}  {became}{where}")

    return each(context, arguments.ids, one)


def _all_matching(arguments: Options, method: str) -> bool:
    """Whether jobs are named by what they have in common. Raises UsageError for both, or neither."""
    word = WORDS[method]
    if arguments.all_matching:
        if arguments.ids:
            raise UsageError(f"{word}: either ids or --all-matching, not both")
        return True
    if not arguments.ids:
        if arguments.all:
            raise UsageError(f"{word}: --all needs --all-matching", f"jobkeep {word} --all-matching --all")
        raise UsageError(f"{word}: no job is named", f"jobkeep {word} ID…, or jobkeep {word} --all-matching --queue Q")
    for name in ("state", "queue", "label", "since", "limit", "all", "dry_run"):
        if getattr(arguments, name):
            raise UsageError(f"{word}: --{name.replace('_', '-')} needs --all-matching, and no ids")
    return False


def _became(context: Context, method: str, state: str) -> str:
    """The state in words; a job whose run is still being ended for a restart has none of its own for that."""
    if method == "Remove":
        return state
    word = "↻ restarting" if method == "Restart" and state == "running" else state_word(state)
    return context.style.paint(word, state_colour(state))


def _where(context: Context, id: str, given: dict[str, bool]) -> str:
    """Where the next run goes on. What was asked for is done, whether this can be told or not."""
    try:
        job = context.link.once(JOBS + "Get", again="", id=id)["job"]
    except (Failure, JobkeepError):
        return ""
    progress = job.get("progress") or {}
    done, total = progress.get("done") or 0, progress.get("total")
    if "failed_items" in given:
        failed = progress.get("failed_items") or 0
        return f", with the {failed} items that failed" if failed > 1 else ", with the item that failed"
    if job.get("checkpoint") and done and done != total:
        return f", goes on with item {done + 1}" + (f" of {total}" if total else "")
    if job.get("checkpoint"):
        return ", goes on from its checkpoint"
    return f", goes on behind step {job['steps']}" if job.get("steps") else ", from the start"


def _failed_items(context: Context, id: str) -> str | None:
    """A job that is done may still have items to run again."""
    job = context.link.call(JOBS + "Get", id=id)["job"]
    if not job["actions"].get("resume_failed_items", {}).get("allowed"):
        return None
    return f"jobkeep resume {context.id(job['id'])} --failed-items runs the items again that failed"
