"""What pause, resume and limit of a queue share."""

from __future__ import annotations

from jobkeep.cli.named import print_one
from jobkeep.cli.render.queues import sentence
from jobkeep.cli.wire import QUEUES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def control(context: Context, arguments: Options, method: str, **given: Any) -> int:
    """Say it, and print what the queue is like then."""
    queue = context.link.call(QUEUES + method, name=arguments.name, reason=arguments.reason, **given)["queue"]
    return print_one(context, queue, lambda queue, style: [f"{queue['name']}  {sentence(queue, style)}"])
