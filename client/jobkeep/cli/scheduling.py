"""What the parts of `schedule` share."""

from __future__ import annotations

from jobkeep.cli.named import print_one
from jobkeep.cli.render.schedules import show
from jobkeep.cli.wire import SCHEDULES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def control(context: Context, arguments: Options, method: str, **given: Any) -> int:
    """Say it, and print what the schedule is like then."""
    again = f"whether it took effect is unknown; jobkeep schedule show {arguments.name} tells"
    reply = context.link.call(SCHEDULES + method, again=again, name=arguments.name, **given)
    return print_one(context, reply["schedule"], show)
