"""Carries a run: finds its task on the cluster, or submits it, and sees it to its end through what may happen there."""

from __future__ import annotations

import asyncio
import secrets
import signal
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import anyio

from jobkeep.dask_bridge.cluster import (
    CLOSE_S,
    PROBE_AGAIN_S,
    SchedulerLost,
    Unreachable,
    connected,
    forget,
    lost_with_its_connections,
    restart,
)
from jobkeep.dask_bridge.conversation import Conversation
from jobkeep.dask_bridge.messages import (
    PROTOCOL,
    Fence,
    FromBridge,
    Parcel,
    Place,
    Stop,
    Terms,
    encode,
    is_task_of,
    number_of,
    task_name,
)
from jobkeep.dask_bridge.outcome import Lost
from jobkeep.dask_bridge.remote import carry_out
from jobkeep.dask_bridge.settings import Cluster
from jobkeep.dask_bridge.topics import living_at, said_down
from jobkeep.dask_bridge.versions import differences
from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.protocol.worker import LOST
from jobkeep.sdk.port import DRAIN, LEASE_LOST
from jobkeep.worker.active import ActiveRun
from jobkeep.worker.doorbell import Doorbell
from jobkeep.worker.ending import Ending, raised, stopped

BEAT_S: Final = 2.0
FENCED_S: Final = 2.0
ATTENTION_S: Final = 2.0
WORD_S: Final = 1.0
AGAIN_S: Final = 0.5  # before a scheduler that is gone is looked for again


def terms(cluster: Cluster) -> Terms:
    lease = cluster.lost_after
    return Terms(lease_s=lease, beat_s=min(BEAT_S, lease / 8), attention_s=ATTENTION_S, fenced_s=min(FENCED_S, lease))


class Bridge:
    """Of one run."""

    def __init__(self, cluster: Cluster, run: ActiveRun, doorbell: Doorbell) -> None:
        self._cluster = cluster
        self._run = run
        self._terms = terms(cluster)
        self._talk = Conversation(run, run.relay(doorbell), self._terms, doorbell)
        self._name: str | None = None  # of the task, once it is published
        self._forced = asyncio.Event()

    async def carry(self) -> Ending:
        """How the run has ended."""
        loop = asyncio.get_running_loop()
        signalled = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, signalled.set)
        forcing = asyncio.ensure_future(self._force(signalled))
        try:
            return await self._carry()
        finally:
            forcing.cancel()
            await asyncio.wait([forcing])
            loop.remove_signal_handler(signal.SIGTERM)

    async def _force(self, signalled: asyncio.Event) -> None:
        """The daemon says first that the run is to stop, though that may arrive later; after a drain nothing comes. Who
        else ends this process ends it alone, as at the shutdown of the host: the task goes on, for the next bridge.
        """
        await signalled.wait()
        with anyio.move_on_after(WORD_S):
            await self._run.port.until(lambda: self._run.stop_reason not in (None, DRAIN))
        if self._run.stop_reason in (None, DRAIN):
            asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        self._forced.set()
        self._run.port.announce()

    async def _carry(self) -> Ending:
        while True:
            try:
                async with AsyncExitStack() as stack:
                    client = await self._connection(stack)
                    if client is None:
                        return self._given_up()
                    with lost_with_its_connections(client):
                        ending = await self._understood(client)
                    if ending is not None:
                        return ending
            except (Unreachable, SchedulerLost) as error:
                if self._name is None and isinstance(error, Unreachable):
                    return Ending("failed", error=ErrorInfo("ClusterUnreachable", str(error)))
                if self._is_in_vain():
                    return self._given_up()
                self._talk.say_of_scheduler(f"the scheduler of dask:{self._cluster.name} is away")
                await asyncio.sleep(AGAIN_S)

    async def _connection(self, stack: AsyncExitStack) -> Any:
        """A client of the scheduler; None once there is no use in one. Raises Unreachable."""
        connecting = asyncio.ensure_future(stack.enter_async_context(connected(self._cluster)))
        watching = asyncio.ensure_future(self._until_in_vain())
        try:
            await asyncio.wait([connecting, watching], return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            connecting.cancel()
        await asyncio.wait([connecting, watching])
        return None if connecting.cancelled() else connecting.result()

    async def _until_in_vain(self) -> None:
        with anyio.move_on_after(None if self._name is None else self._talk.lease_left):
            await self._run.port.until(self._is_in_vain)

    def _is_in_vain(self) -> bool:
        """Nothing has begun anywhere, and nothing is to; or who waits for its end has waited for long enough.

        Of a later run nobody here knows whether a task of an earlier one goes on.
        """
        if self._run.stop_reason is not None:
            return self._forced.is_set() or (self._name is None and self._run.order.number == 1)
        return self._name is not None and self._talk.lease_is_over

    def _given_up(self) -> Ending:
        if self._name is None:
            return stopped(self._run.stop_reason or "cancelled")
        return lost(f"the scheduler of {self._cluster.place} has been away for {self._cluster.lost_after:g} s")

    async def _understood(self, client: Any) -> Ending | None:
        """As `_with`, for which releases may differ too much: then that is the error."""
        try:
            return await self._with(client)
        except (OSError, SchedulerLost):
            raise
        except Exception as error:
            differs = await differences(client) if client.status == "running" else ""
            if not differs:
                raise
            said = f"the scheduler of {self._cluster.place} does not get on with this bridge ({error}){differs}"
            return Ending("failed", error=ErrorInfo("VersionMismatch", said))

    async def _with(self, client: Any) -> Ending | None:
        """None: the task has ended without having begun, and is submitted again."""
        found = await self._find(client)
        if isinstance(found, Ending):
            return found
        name, future = found
        try:
            ending = await self._talk.hold(client, name, future, self._forced)
        except Lost as error:
            ending = await self._lost(client, name, str(error))
        if self._run.fenced or (ending is not None and self._forced.is_set()):
            await self._end(client, name)
        await self._drop(client, name, future)
        if ending is None:
            self._name = None
        return ending

    async def _find(self, client: Any) -> tuple[str, Any] | Ending:
        """The task: the one there is, of this run or of one whose bridge has died; else a new one."""
        published = [name for name in await client.list_datasets() if is_task_of(name, self._run.order.job)]
        if self._name is not None:
            if self._name in published:
                return self._name, await client.get_dataset(self._name)
            if self._talk.has_begun:
                await self._until_gone(self._talk.place)
            why = f"the scheduler of {self._cluster.place} was started anew, and knows nothing of the task"
            return lost(why)
        for name in sorted(published, key=number_of, reverse=True):
            if self._name is None and not await self._is_to_end(client, name):
                self._name = name
            else:
                await self._drop(client, name, await self._end(client, name))
        if self._name is not None:
            return self._name, await client.get_dataset(self._name)
        return await self._submit(client)

    async def _submit(self, client: Any) -> tuple[str, Any]:
        order = self._run.order
        name = task_name(order.job, order.number)
        parcel = encode(Parcel(PROTOCOL, name, order, self._terms))
        future = client.submit(carry_out, parcel, key=f"{name}-{secrets.token_hex(4)}", pure=False, retries=0)
        await client.publish_dataset(future, name=name)  # only then it may begin: the conversation lets it
        self._name = name
        return name, future

    async def _is_to_end(self, client: Any, name: str) -> bool:
        """Somebody has stopped that task, or it was never allowed to begin: then nobody has said anything to it."""
        said = [message.said for message in await said_down(client, name)]
        return not said or any(isinstance(each, Fence) or is_pressing(each) for each in said)

    async def _end(self, client: Any, name: str) -> Any:
        """See to it that nothing of a task goes on; its future, if it has one."""
        await self._talk.fence(client, name)
        future = await client.get_dataset(name, default=None)
        if future is not None and not future.done():
            where = self._talk.place or await living_at(client, name)
            if where is not None and not await self._ends_itself(future, where):
                await restart(client, where, self._talk.doors, self._terms.fenced_s / 2)
            await client.cancel([future])
        return future

    async def _ends_itself(self, future: Any, where: Place) -> bool:
        """Whether a task that has no right to go on does, so that its worker need not be restarted."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._terms.fenced_s * 1.5):
                while not future.done() and not await self._talk.doors.is_shut(where):  # noqa: ASYNC110
                    await asyncio.sleep(PROBE_AGAIN_S)
                return True
        return False

    async def _drop(self, client: Any, name: str, future: Any) -> None:
        """Let the cluster forget a task, but for the word that a start of it which is yet to come may not begin.

        One that Dask has made already does not end because the task is cancelled.
        """
        may_come = future is not None and future.status not in ("finished", "error")
        if future is not None:
            future.release()
        await forget(client, name)
        if may_come:
            with suppress(Exception):  # it would wait for its lease to end
                async with asyncio.timeout(CLOSE_S):
                    await self._talk.fence(client, name)

    async def _lost(self, client: Any, name: str, why: str) -> Ending:
        """Once nothing of it goes on. A worker that is gone for its scheduler may be about to end, and the function not
        have ended yet.
        """
        place = self._talk.place
        if place is not None and not await self._talk.doors.is_shut(place):
            await self._talk.fence(client, name)
            if not await self._until_gone(place):
                await restart(client, place, self._talk.doors, self._terms.fenced_s)
        return lost(why)

    async def _until_gone(self, place: Place | None) -> bool:
        """Until it is certain that the task has ended: with its process, which is told, or else with its lease."""
        while not self._talk.lease_is_over:
            if place is not None and await self._talk.doors.is_shut(place):
                return True
            await asyncio.sleep(PROBE_AGAIN_S)
        return False


async def carry(cluster: Cluster, run: ActiveRun, doorbell: Doorbell) -> Ending:
    """See a run to its end on the cluster. Raises nothing: whatever goes wrong is how the run ends."""
    try:
        ending = await Bridge(cluster, run, doorbell).carry()
    except Exception as error:  # noqa: BLE001 - of Dask, which raises whatever it likes
        return raised(error, run.stop_reason)
    if run.stop_reason not in (None, DRAIN, LEASE_LOST) and (ending.reason or "").startswith(LOST):
        return stopped(run.stop_reason or "cancelled")
    return ending


def is_pressing(said: FromBridge) -> bool:
    """A drain is not: the task may go on for as long as it takes."""
    return isinstance(said, Stop) and said.reason != DRAIN


def lost(why: str) -> Ending:
    """The daemon decides by the job's policy what becomes of it."""
    return Ending("failed", reason=LOST + why)
