"""A verb for all jobs that match: a page of them per request, until there are no more."""

from __future__ import annotations

import sys
import time

from jobkeep.cli import values
from jobkeep.cli.failures import CONFLICT, FAILED, INTERRUPTED, OK, Failure, RemoteFault, UsageError
from jobkeep.cli.filters import conditions, wanted
from jobkeep.cli.render.style import state_word
from jobkeep.cli.wire import FOLLOW_PATIENCE, JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

PAGE = 200
COUNTED = 20_000  # jobs, before it is asked whether they are meant: it would take long to count a million
ERASE = "\r\x1b[K"


def add_arguments(parser: Any) -> None:
    """What a verb needs beside the conditions."""
    parser.add_argument("--all-matching", action="store_true", help="all jobs that match, instead of ids")
    parser.add_argument("--all", action="store_true", help="there is no condition: every job is meant")
    parser.add_argument("--dry-run", action="store_true", help="with --all-matching: only say what it would do")
    parser.add_argument("--yes", action="store_true", help="with --all-matching: do not ask, on a terminal")
    parser.add_argument("--reason", type=values.reason, metavar="TEXT", help="why, for the journal")


class Sweep:
    """One verb over all that match. What is done stays done, and to ask for a page twice does no harm."""

    def __init__(self, context: Context, method: str, asked: dict[str, Any]) -> None:
        self._context = context
        self._method = f"{JOBS}{method}Matching"
        self._asked = asked
        self.count = 0
        self.states: dict[str, int] = {}
        self.refused: dict[str, dict[str, Any]] = {}

    def run(self, limit: int | None, told: Callable[[list[str]], None] = lambda ids: None, **flags: bool) -> bool:
        """Whether these were all that there are. `told` gets the ids of each page."""
        before, seen = None, 0
        while limit is None or seen < limit:
            reply = self._context.link.call(
                self._method,
                again=f"{self.count} jobs are done; the same command goes on with the rest",
                limit=PAGE if limit is None else min(PAGE, limit - seen),
                before=before,
                **self._asked,
                **flags,
            )
            seen += len(reply["ids"]) + sum(group["count"] for group in reply["refused"])
            self._take(reply)
            told(reply["ids"])
            before = reply.get("next")
            if before is None:
                return True
        return False

    def _take(self, reply: dict[str, Any]) -> None:
        self.count += len(reply["ids"])
        for state, count in reply["states"].items():
            self.states[state] = self.states.get(state, 0) + count
        for group in reply["refused"]:
            known = self.refused.setdefault(group["reason"], {**group, "count": 0})
            known["count"] += group["count"]


def act_on_matching(context: Context, arguments: Options, word: str, method: str, **flags: bool) -> int:
    """Ask on a terminal, then do it, and say what has become of them."""
    asked = _asked(arguments, word, flags)
    context.link.patience = FOLLOW_PATIENCE
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if terminal and not (arguments.yes or arguments.dry_run):
        _ask(Sweep(context, method, asked), arguments.limit, word)
    sweep = Sweep(context, method, asked)
    shows = terminal and not (arguments.quiet or arguments.json)

    def told(ids: list[str]) -> None:
        if arguments.quiet and not arguments.json:
            context.print(*ids)
        if shows:
            sys.stderr.write(f"{ERASE}{word}: {_jobs(sweep.count)}")
            sys.stderr.flush()

    try:
        sweep.run(arguments.limit, told, **({"dry_run": True} if arguments.dry_run else {}))
    except (KeyboardInterrupt, RemoteFault) as end:
        if shows:
            sys.stderr.write(ERASE)
        context.note(f"{_jobs(sweep.count)} done; the same command goes on with the rest")
        if isinstance(end, KeyboardInterrupt):
            return INTERRUPTED
        raise
    if shows:
        sys.stderr.write(ERASE)
    return _tell(context, arguments, sweep, word)


def _asked(arguments: Options, word: str, flags: dict[str, bool]) -> dict[str, Any]:
    """Of all requests. Raises UsageError unless it says which jobs."""
    where = {"state": wanted(word, arguments.state or ()) or None, **conditions(arguments)}
    if not arguments.all and all(value is None for value in where.values()):
        every = f"jobkeep {word} --all-matching --all means every job"
        raise UsageError(f"{word}: no condition is given", f"such as --queue Q or --label K=V; {every}")
    now = time.time()
    as_of = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
    given = {name: True for name, value in {**flags, "all": arguments.all}.items() if value}
    return {**where, "reason": arguments.reason, "as_of": as_of, **given}


def _ask(count: Sweep, limit: int | None, word: str) -> None:
    """Raises Failure unless it is meant."""
    bound = COUNTED if limit is None else min(COUNTED, limit)
    least = "" if count.run(bound, dry_run=True) or bound == limit else "at least "
    if not count.count:
        return
    sys.stderr.write(f"jobkeep {word}: {least}{_jobs(count.count)}: {_states(count, word)}. Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("nothing was changed", FAILED)


def _tell(context: Context, arguments: Options, sweep: Sweep, word: str) -> int:
    refused = sorted(sweep.refused.values(), key=lambda group: -group["count"])
    if arguments.json:
        told = {"count": sweep.count, "states": sweep.states, "refused": refused, "dry_run": arguments.dry_run}
        context.print_json(told)
    elif sweep.count and not arguments.quiet:
        would = f"would {word} " if arguments.dry_run else ""
        context.print(f"{would}{_jobs(sweep.count)}: {_states(sweep, '' if would else word)}")
    elif not refused:
        context.note("no jobs match")
    for group in refused:
        such = f", such as {context.id(group['id'])}" if group["count"] > 1 else f": {context.id(group['id'])}"
        context.note(f"{_jobs(group['count'])} refused{such}: {group['reason']}")
    return CONFLICT if refused else OK


def _jobs(count: int) -> str:
    return f"{count} {'job' if count == 1 else 'jobs'}"


def _states(sweep: Sweep, word: str) -> str:
    """How many are in which state now; one that is being restarted has none of its own for that."""
    words = {"removed": "removed", **({"running": "↻ restarting"} if word == "restart" else {})}
    return ", ".join(f"{count} {words.get(state) or state_word(state)}" for state, count in sweep.states.items())
