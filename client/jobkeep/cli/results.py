"""What a function has returned, beside the job as the daemon shows it."""

from __future__ import annotations

from jobkeep.cli.failures import RemoteFault
from jobkeep.cli.wire import JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeep.cli.context import Context


def with_result(context: Context, job: dict[str, Any]) -> dict[str, Any]:
    """The job, with `result` if it is a function that has succeeded."""
    if job["kind"] != "function" or job["state"] != "succeeded":
        return job
    try:
        return {**job, "result": context.link.call(JOBS + "Result", id=job["id"]).get("result")}
    except RemoteFault as fault:
        if fault.name not in ("NoResult", "NotFound"):  # it was run again, or removed, since it was read
            raise
        return job
