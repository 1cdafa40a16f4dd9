"""How a task has ended, as Dask tells its submitter."""

from __future__ import annotations

from typing import Any, Final

from distributed.client import FutureCancelledError

from jobkeep.dask_bridge.cluster import SchedulerLost
from jobkeep.dask_bridge.messages import Ended, decode_ended
from jobkeep.dask_bridge.versions import differences
from jobkeep.protocol.vocabulary import ERROR_LIMIT
from jobkeep.sdk.failures import bounded
from jobkeep.worker.ending import Ending

NEEDED: Final = ("jobkeep", "msgspec", "anyio")  # of the task


class Lost(Exception):
    """Nobody will tell how the task ends."""


async def ended(client: Any, future: Any) -> Ended | Ending:
    """What the task has returned, or why it could not. Raises Lost, SchedulerLost."""
    try:
        return decode_ended(await future)
    except FutureCancelledError as error:
        if client.status != "running" or "scheduler" in str(error):
            raise SchedulerLost from None
        raise Lost(f"its task was cancelled on the cluster: {error}") from None
    except Exception as error:  # noqa: BLE001 - of Dask: nothing that the function raises gets here
        if type(error).__name__ == "KilledWorker":
            raise Lost("its Dask worker died") from None
        if client.status != "running":
            raise SchedulerLost from None
        said = f"{_explained(error)}{await differences(client)}"
        return Ending("failed", error=bounded(type(error).__name__, said, None, ERROR_LIMIT))


def _explained(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in NEEDED:
        return f"{error}: install jobkeep[dask] where the workers of the cluster run"
    return f"the cluster could not run the task: {error}"
