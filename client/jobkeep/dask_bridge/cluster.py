"""The bridge's connection to a Dask scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import msgspec
from distributed import Client
from distributed.security import Security
from msgspec import Struct

from jobkeep.dask_bridge.messages import Place, downward, upward
from jobkeep.dask_bridge.settings import Cluster

PROBE_S: Final = 1.0
PROBE_AGAIN_S: Final = 0.1  # a process on another host tells nobody that it has ended
NANNY_S: Final = 60.0
CLOSE_S: Final = 2.0
FILE_AGAIN_S: Final = 0.1


class _SchedulerFile(Struct):
    """What `dask scheduler --scheduler-file` writes; of that."""

    address: str


class Unreachable(Exception):
    """Nobody answers there as a scheduler does."""


class SchedulerLost(Exception):
    """It was there, and is not any more."""


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[Client]:
    """A client of the scheduler. Raises Unreachable."""
    hint = f"start it, or correct [dask.{cluster.name}] in the daemon's configuration"
    try:
        address = await _address(cluster)
    except (OSError, ValueError) as error:
        raise Unreachable(f"no scheduler is named for {cluster.place}: {error}; {hint}") from None
    client = Client(
        address, security=_security(cluster), asynchronous=True, set_as_default=False, timeout=cluster.connect_timeout
    )
    try:
        try:
            await client
        except (OSError, TimeoutError, ValueError) as error:
            raise Unreachable(f"no scheduler answers for {cluster.place}: {_first_line(error)}; {hint}") from None
        except Exception as error:
            # It answers, and is not understood.
            ours = f"does not get on with distributed {version('distributed')} of this Python ({_first_line(error)})"
            same = "install the same release of dask and distributed on both sides"
            raise Unreachable(f"the scheduler of {cluster.place} {ours}: {same}") from error
        yield client
    finally:
        # Not `wait_for`, which would wait on for a client that does not heed its cancellation.
        closing = asyncio.ensure_future(client.close())
        await asyncio.wait([closing], timeout=CLOSE_S)
        closing.cancel()


async def _address(cluster: Cluster) -> str:
    """Where the scheduler is, by its file once that is there. Raises OSError, ValueError.

    Dask itself would wait for the file for ever.
    """
    until = anyio.current_time() + cluster.connect_timeout
    while cluster.scheduler_file:
        try:
            with open(cluster.scheduler_file, "rb") as file:  # noqa: ASYNC230 - a few bytes
                return msgspec.json.decode(file.read(), type=_SchedulerFile).address
        except (OSError, ValueError):
            if anyio.current_time() >= until:
                raise
        await asyncio.sleep(FILE_AGAIN_S)
    return cluster.address


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


@contextmanager
def lost_with_its_connections(client: Any) -> Iterator[None]:
    """Whichever of the calls under way is the first to notice that the scheduler is gone. Raises SchedulerLost."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) or client.status != "running":
            raise SchedulerLost from error
        raise


def _security(cluster: Cluster) -> Security | None:
    tls = {"tls_ca_file": cluster.tls_ca_file, "tls_client_cert": cluster.tls_cert, "tls_client_key": cluster.tls_key}
    given = {name: value for name, value in tls.items() if value}
    return Security(require_encryption=True, **given) if given else None


class Doors:
    """Where processes of the cluster listen, and whether this one has found them there.

    If not, a refusal says nothing: it may come from a firewall, or from a host that translates addresses.
    """

    def __init__(self) -> None:
        self._found: dict[Place, bool] = {}

    async def find(self, place: Place) -> None:
        """While the process is sure to live."""
        if place not in self._found:
            self._found[place] = False
            await self.is_shut(place)

    async def is_shut(self, place: Place) -> bool:
        """Nobody listens there any more, and the host says so itself: the process has ended."""
        try:
            async with asyncio.timeout(PROBE_S):
                _, writer = await asyncio.open_connection(urlsplit(place.worker).hostname, place.port)
        except ConnectionRefusedError:
            return self._found.get(place, False)
        except (OSError, TimeoutError):
            return False
        self._found[place] = True
        writer.close()
        return False


async def restart(client: Client, place: Place, doors: Doors, within_s: float) -> None:
    """End what runs there by its worker's nanny, which starts it anew.

    The nanny has all the time it needs for that. It is waited for the end of the process alone, which begins with that
    of the worker.
    """
    asked = asyncio.ensure_future(client.restart_workers([place.worker], timeout=NANNY_S, raise_for_error=False))
    asked.add_done_callback(lambda done: done.cancelled() or done.exception())  # the worker may have gone by itself
    with suppress(Exception):
        async with asyncio.timeout(within_s):
            while not await doors.is_shut(place):  # noqa: ASYNC110
                await asyncio.sleep(PROBE_AGAIN_S)
    asked.cancel()


async def forget(client: Client, name: str) -> None:
    """Let the scheduler know nothing of a task any more."""
    topics = [upward(name), downward(name)]
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await client.unpublish_dataset(name)
    with suppress(Exception):  # a scheduler may run nobody's code; its log is bounded then
        async with asyncio.timeout(CLOSE_S):
            # A lambda goes there by value, so that jobkeep need not be installed beside the scheduler.
            await client.run_on_scheduler(
                lambda dask_scheduler, names: [dask_scheduler._broker.truncate(name) for name in names], names=topics
            )
