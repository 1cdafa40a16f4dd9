"""What is asked for and comes to nothing: a moment that is past, a label that no live job has. Told, and submitted."""

from __future__ import annotations

import time

from jobkeep.cli.commands.ls import LIVE
from jobkeep.cli.failures import Failure
from jobkeep.cli.render.times import ago, epoch
from jobkeep.cli.wire import JOBS
from jobkeep.errors import JobkeepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options


def tell(context: Context, arguments: Options) -> None:
    """On stderr, before the job is submitted."""
    now = time.time()
    if arguments.at and epoch(arguments.at) < now:
        context.note(f"--at {arguments.at} was {ago(arguments.at, now)}: nothing is waited for")
    if arguments.after_label and not _any(context, dict(arguments.after_label)):
        labels = " and ".join(f"{key}={value}" for key, value in arguments.after_label)
        context.note(f"--after-label: no live job has {labels}: nothing is waited for")


def _any(context: Context, label: dict[str, str]) -> bool:
    try:
        return bool(context.link.call(JOBS + "List", label=label, state=LIVE, limit=1)["jobs"])
    except (Failure, JobkeepError):
        return True  # the submit itself will tell what is wrong
