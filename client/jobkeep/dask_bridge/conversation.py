"""What bridge and task say to each other during a run, and whether the task is still there."""

from __future__ import annotations

import asyncio
import math
import secrets
from contextlib import suppress
from typing import Any, Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from msgspec import Raw, Struct, json
from msgspec.structs import replace

from jobkeep.dask_bridge.cluster import Doors, SchedulerLost
from jobkeep.dask_bridge.feed import Feed
from jobkeep.dask_bridge.messages import (
    Advances,
    Answers,
    AsksKeys,
    AsksStep,
    Begins,
    Checkpoints,
    Downward,
    Durable,
    Ended,
    Fence,
    FromBridge,
    FromTask,
    Go,
    Lives,
    Place,
    Refuses,
    Steps,
    Stop,
    Terms,
    Upward,
    Writes,
    downward,
    encode,
    upward,
)
from jobkeep.dask_bridge.outcome import Lost, ended
from jobkeep.dask_bridge.outlet import write_out
from jobkeep.dask_bridge.topics import said_down, subscribe
from jobkeep.protocol.worker import ProgressParameters
from jobkeep.worker.active import ActiveRun
from jobkeep.worker.awaited import Query
from jobkeep.worker.doorbell import Doorbell
from jobkeep.worker.ending import Ending, stopped
from jobkeep.worker.messenger import Messenger

MARGIN: Final = 1.1  # the task's clock may be that much slower
PATIENCE_S: Final = 2.0  # before it is said that no worker has taken the task
LOOK_S: Final = 0.5  # a scheduler says that a worker has gone by starting its task elsewhere, if there is room


class Conversation:
    """With the one task of a run, over one client after the other. `place`: where it runs."""

    def __init__(self, run: ActiveRun, messenger: Messenger, terms: Terms, doorbell: Doorbell) -> None:
        self.place: Place | None = None
        self.doors = Doors()
        self._run = run
        self._messenger = messenger
        self._terms = terms
        self._doorbell = doorbell
        self._id = secrets.token_hex(8)
        self._said = 0
        self._start: str | None = None  # the one that was let go
        self._heard = 0  # its newest message
        self._heard_before = 0  # by this bridge or the last one, over another client
        self._rival = False
        self._heard_at = anyio.current_time()
        self._told = ""
        order = run.order
        self._progress = ProgressParameters(order.run, order.fence, done=order.done, total=order.total)
        self._outgoing: MemoryObjectSendStream[FromBridge] | None = None

    @property
    def worker(self) -> str | None:
        return None if self.place is None else self.place.worker

    @property
    def lease_is_over(self) -> bool:
        """The task has ended itself by now, wherever it is."""
        return self.lease_left <= 0

    @property
    def lease_left(self) -> float:
        """Seconds; none or less once it is over."""
        end = self._heard_at + self._terms.lease_s * MARGIN + self._terms.fenced_s
        return end - anyio.current_time()

    @property
    def has_begun(self) -> bool:
        """Some start of the task was let go."""
        return self._start is not None

    def say_of_scheduler(self, note: str) -> None:
        """Tell people, once, until something is heard of the task."""
        if note != self._told:
            self._told = note
            self._messenger.progress(replace(self._progress, note=note))

    async def fence(self, client: Any, name: str) -> None:
        """Say that the task, which may be another one's, is to end now."""
        self._said += 1
        await client.log_event(downward(name), encode(Downward(self._id, self._said, Fence())))

    async def hold(self, client: Any, name: str, future: Any, forced: asyncio.Event) -> Ending | None:
        """Until the task has ended; None: without having begun. Raises Lost, SchedulerLost."""
        self._id, self._said = secrets.token_hex(8), 0  # the task says again what this one may not hear
        self._heard_at = anyio.current_time()
        say, to_say = anyio.create_memory_object_stream[FromBridge](math.inf)
        hear, to_hear = anyio.create_memory_object_stream[Upward](math.inf)
        self._outgoing = say
        heard_all = anyio.Event()
        feed = Feed[Upward](lambda message: _put(hear, message))
        said_before = await said_down(client, name)
        for message in said_before:
            if isinstance(message.said, Go):
                self._start = message.said.start
                self._heard = max(self._heard, message.said.heard)
        self._heard_before = self._heard
        await subscribe(client, upward(name), feed)
        told: Ended | Ending | None = None
        try:
            with say, to_say, hear, to_hear:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._send, client, name, to_say, name="bridge says")
                    group.start_soon(self._listen, to_hear, heard_all, name="bridge hears")
                    group.start_soon(self._acknowledge, bool(said_before), name="bridge acknowledges")
                    group.start_soon(self._pass_on_stop, group.cancel_scope, name="bridge stops")
                    group.start_soon(self._watch, client, name="bridge watches")
                    group.start_soon(self._look_for_worker, client, future, name="bridge looks for the worker")
                    group.start_soon(_leave, forced, group.cancel_scope, name="bridge leaves")
                    last = await ended(client, future)
                    hear.close()  # its last words came before its end
                    await heard_all.wait()
                    told = last
                    group.cancel_scope.cancel()
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from None
        finally:
            self._outgoing = None
        return self._ending(told)

    def _ending(self, told: Ended | Ending | None) -> Ending | None:
        if isinstance(told, Ending):
            return told
        if told is None or self._run.fenced:
            return stopped(self._run.stop_reason or "cancelled")
        if told.refused and not self.has_begun:
            return None
        if told.refused or (self.has_begun and told.start != self._start):
            raise Lost(f"the Dask worker {self.worker} died")
        return Ending(told.outcome, told.result, told.error, told.reason, told.permanent)

    def _say(self, said: FromBridge) -> None:
        if self._outgoing is not None:
            self._outgoing.send_nowait(said)

    async def _send(self, client: Any, name: str, to_say: MemoryObjectReceiveStream[FromBridge]) -> None:
        async for said in to_say:
            self._said += 1
            await client.log_event(downward(name), encode(Downward(self._id, self._said, said)))

    async def _listen(self, to_hear: MemoryObjectReceiveStream[Upward], heard_all: anyio.Event) -> None:
        async for message in to_hear:
            if isinstance(message.said, Begins | Lives):
                await self.doors.find(message.said.place)
            if isinstance(message.said, Begins):
                self._let_go(message.sender, message.said)
            elif self._start is None:  # by an earlier bridge, longer ago than the log reaches
                self._start = message.sender
            if message.sender == self._start:
                self._heard = max(self._heard, message.number)
                self._heard_at = anyio.current_time()
                self._heed(message.said, again=message.number <= self._heard_before)
            if self._rival:
                raise Lost(f"the Dask worker {self.worker} died")
        heard_all.set()

    def _let_go(self, start: str, said: Begins) -> None:
        if self._start is None:
            self._start = start
            self._say(Go(start))
        if self._start == start:
            self.place = said.place
        else:  # a scheduler starts again what it has lost, whatever it is told
            self._rival = True
            self._say(Go(self._start, self._heard))

    def _heed(self, said: FromTask, again: bool) -> None:
        """What the daemon may not have got is passed on again; it knows what it has."""
        run, order = self._run, self._run.order
        if self._told:
            self._told = ""
            self._messenger.progress(self._progress)
        match said:
            case Lives(place, ticks):
                self.place, run.ticks = place, ticks
            case Advances(parameters):
                self._progress = replace(parameters, run=order.run, fence=order.fence)
                if not again:
                    self._messenger.progress(self._progress)
            case Checkpoints(parameters):
                self._progress = ProgressParameters(
                    order.run, order.fence, parameters.done, parameters.total, parameters.note, parameters.tallies
                )
                self._messenger.checkpoint(replace(parameters, run=order.run, fence=order.fence))
            case Steps(parameters):
                self._messenger.step(replace(parameters, run=order.run, fence=order.fence))
            case AsksKeys(number, parameters):
                self._ask("FailedKeys", number, replace(parameters, run=order.run, fence=order.fence))
            case AsksStep(number, parameters):
                self._ask("StepResult", number, replace(parameters, run=order.run, fence=order.fence))
            case Writes(to, text) if not again:
                write_out(to, text)

    def _ask(self, method: str, number: int, parameters: Any) -> None:
        def answer(reply: Struct | Exception) -> None:
            if isinstance(reply, Exception):
                said = Answers(number, refused=Refuses(type(reply).__name__, str(reply)))
            else:
                said = Answers(number, Raw(json.encode(reply)))
            self._doorbell.ring(lambda: self._say(said))  # this is the thread at the helm

        self._messenger.ask(Query(method, parameters, self._run.order.run, answer))

    async def _acknowledge(self, again: bool) -> None:
        """Tell the task what has become durable; the bridge before this one may not have come to it."""
        port = self._run.port
        seq, steps, refused = (-1, -1, None) if again else (port.durable_seq, port.steps.durable, None)
        while True:
            if (durable := port.durable_seq) > seq:
                seq = durable
                self._say(Durable("checkpoint", seq))
            if (durable := port.steps.durable) > steps:
                steps = durable
                self._say(Durable("step", steps - 1))
            if port.refused is not refused:
                refused = port.refused
                self._say(Refuses(type(refused).__name__, str(refused)))
            now = (seq, steps, refused)
            await port.until(lambda now=now: (port.durable_seq, port.steps.durable, port.refused) != now)  # type: ignore[misc]

    async def _pass_on_stop(self, scope: anyio.CancelScope) -> None:
        run, told = self._run, None
        while True:
            await run.port.until(lambda told=told: run.stop_reason != told)  # type: ignore[misc]
            told = run.stop_reason
            if run.fenced:
                self._say(Fence())
            elif told is not None and self._start is None:
                scope.cancel()  # it waits for its turn on the cluster, which it is not to get
            elif told is not None:
                self._say(Stop(told))

    async def _watch(self, client: Any) -> None:
        """Renew the task's lease, and see whether it gives signs of life."""
        waits_since = anyio.current_time()
        while True:
            if self._start is not None:
                self._say(Go(self._start, self._heard))
            await asyncio.sleep(self._terms.beat_s)
            if client.status not in ("running", "closing"):
                raise SchedulerLost
            if self._start is None:
                if anyio.current_time() > waits_since + PATIENCE_S:
                    self.say_of_scheduler("waits for a worker of the cluster")
            elif self.lease_is_over:
                silent = f"the Dask worker {self.worker} has given no sign of life for {self._terms.lease_s:g} s"
                raise Lost(silent)

    async def _look_for_worker(self, client: Any, future: Any) -> None:
        """See whether the cluster still has the worker that has the task."""
        while True:
            await asyncio.sleep(LOOK_S)
            worker = self.worker
            if worker is not None and not await client.nthreads(workers=[worker]) and not future.done():
                raise Lost(f"the Dask worker {worker} died")


async def _leave(forced: asyncio.Event, scope: anyio.CancelScope) -> None:
    """Who is asked to stop and does not is left: the bridge sees to it that it ends."""
    await forced.wait()
    scope.cancel()


def _put(stream: MemoryObjectSendStream[Upward], message: Upward) -> None:
    with suppress(anyio.ClosedResourceError):  # after the end there is nothing more to say
        stream.send_nowait(message)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
