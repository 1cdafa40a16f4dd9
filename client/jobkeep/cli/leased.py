"""A command as our child for as long as we hold something under a lease: what `lock run` and `session open` share."""

from __future__ import annotations

from jobkeep.cli.failures import CONFLICT, Failure, UsageError
from jobkeep.cli.words import command_of, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from jobkeep.cli.child import Child
    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options
    from jobkeep.client.lease import Lease


def name_and_command(part: str, module: ModuleType, arguments: Options, what: str, usage: str) -> tuple[str, list[str]]:
    """The name of what is held, and the command, if there is one. What stands between may be options."""
    words = arguments.words
    if not words or words[0] == "--":
        raise UsageError(f"{part}: no {what} named", usage)
    return name_of(part, words[0], usage), command_of(part, module, words[1:], arguments)


def attend(
    context: Context, lease: Lease, wait_s: float, child: Child, variables: Callable[[], dict[str, str]]
) -> int:
    """Let the child go once we hold the lease, with these variables; -> its exit status. It is ended with the lease."""
    from jobkeep.blocking.channel import BlockingChannel
    from jobkeep.blocking.locks import hold
    from jobkeep.errors import LeaseLost

    def lost() -> None:
        context.note(f"the {lease.words} is lost: ending the command")
        child.end()

    channel = BlockingChannel(context.options.socket, None)
    code = None
    try:
        with hold(channel, lease, wait_s, on_loss=lost):
            child.begin(**variables())
            code = child.attend()
    except LeaseLost as error:
        became = "was ended" if child.was_ended else "had ended by itself"
        raise Failure(f"{error}; the command {became}, exit status {code}", CONFLICT) from None
    finally:
        channel.close()
    return code
