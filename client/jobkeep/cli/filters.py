"""The conditions of `ls`, and of verbs with --all-matching."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import UsageError
from jobkeep.cli.render.style import STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from jobkeep.cli.options import Options


def add_filters(parser: Any) -> None:
    """Which jobs."""
    parser.add_argument(
        "--state", action="append", metavar="S", help=f"one of {', '.join(STATES)}; may be repeated or a,b"
    )
    parser.add_argument("--queue", type=values.name, metavar="Q", help="only of this queue")
    parser.add_argument("--label", action="append", type=values.label, default=[], metavar="K=V", help="all must match")
    parser.add_argument("--since", type=values.duration, metavar="DUR", help="created or ended within: 90s 15m 3.5h 2d")
    parser.add_argument("--limit", type=values.positive, metavar="N", help="at most so many")


def conditions(arguments: Options) -> dict[str, Any]:
    """As the wire has them, without the states; None for those that are not given."""
    return {
        "queue": arguments.queue,
        "label": dict(arguments.label) or None,
        "since_s": arguments.since,
    }


def wanted(command: str, given: Sequence[str]) -> list[str]:
    """The states named by --state."""
    states = [state.strip() for word in given for state in word.split(",")]
    for state in states:
        if state not in STATES:
            raise UsageError(f"{command}: there is no state {state!r}", "states: " + ", ".join(STATES))
    return list(dict.fromkeys(states))
