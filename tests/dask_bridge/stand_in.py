"""A Dask scheduler as a bridge sees it, in virtual time: the test is its workers, and what befalls them."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
from distributed.client import FutureCancelledError

from dask_bridge.virtual import now
from jobkeep.dask_bridge import cluster as connecting
from jobkeep.dask_bridge.messages import (
    MARK,
    Begins,
    Ended,
    FromBridge,
    FromTask,
    Place,
    Upward,
    decode_downward,
    downward,
    encode,
    upward,
)
from jobkeep.dask_bridge.settings import Cluster

LAB = Cluster(name="lab", address="tcp://lab:8786", lost_after=60.0)


def place(worker: str) -> Place:
    """Where a task is that this worker has, and how its process is found to live."""
    return Place(worker, int(worker.rpartition(":")[2]))


class Future:
    """Of one task. What Dask's has and the bridge uses."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.outcome: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._connection: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def __await__(self) -> Generator[Any, None, bytes]:
        async def told() -> bytes:
            connection = self._connection
            await asyncio.wait([self.outcome, connection], return_when=asyncio.FIRST_COMPLETED)
            return (self.outcome if self.outcome.done() else connection).result()

        return told().__await__()

    def lose(self, error: Exception) -> None:
        """Its client is told so; the task itself may go on."""
        self._connection.set_exception(error)
        self._connection.exception()  # maybe nobody looks at it
        self._connection = asyncio.get_running_loop().create_future()

    def done(self) -> bool:
        return self.outcome.done()

    @property
    def status(self) -> str:
        if not self.done() or self.outcome.cancelled():
            return "cancelled" if self.done() else "pending"
        return "error" if self.outcome.exception() else "finished"

    def release(self) -> None:
        """Nobody here counts references."""


class Scheduler:
    """With workers by address. What was asked of it is in `submitted`, `restarted`, and in its topics."""

    def __init__(self, *workers: str) -> None:
        self.workers = set(workers)
        self.processes = set(workers)  # may live on when the scheduler has lost the worker
        self.is_there = True
        self.silent_s = 0.0  # before who connects in vain gives up
        self.refuses: Exception | None = None  # who connects
        self.does_not_publish: Exception | None = None
        self.versions: dict[str, Any] = {}  # of itself and its workers, where they are not as here
        self.hosts_answer = True  # those of workers: that nobody listens there any more
        self.firewall = False  # before workers: it refuses whoever knocks
        self.topics: dict[str, deque[tuple[float, Any]]] = defaultdict(lambda: deque(maxlen=1000))  # as Dask has it
        self.ever_said: list[tuple[float, str, Any]] = []  # topics may be forgotten
        self.datasets: dict[str, Future] = {}
        self.published = ""  # last
        self.submitted: list[Future] = []
        self.restarted: list[str] = []
        self.clients: list[Client] = []

    def publish(self, topic: str, said: Any) -> None:
        self.topics[topic].append((now(), said))
        self.ever_said.append((now(), topic, said))
        for client in self.clients:
            client.tell(topic, said)

    def kill(self, worker: str) -> None:
        """Its tasks go back among those that wait for one that has room."""
        self.close(worker)
        self.processes.discard(worker)

    def close(self, worker: str) -> None:
        """It takes its leave, and the process waits for what it still has in work."""
        self.workers.discard(worker)

    def leave(self) -> None:
        """As its own process is killed."""
        self.is_there = False
        for client in self.clients:
            client.status = "connecting"
        for future in self.submitted:
            if not future.done():
                future.lose(FutureCancelledError(future.key, "scheduler-connection-lost"))

    def come_back(self, *, knows_nothing: bool = False) -> None:
        """The same one, reached again; or one that was started in its place."""
        self.is_there = True
        if knows_nothing:
            self.topics.clear()
            self.datasets.clear()

    def end(self, ended: Ended | Exception) -> None:
        """The task that was published last returns that, or Dask cannot run it."""
        outcome = self.datasets[self.published].outcome
        if isinstance(ended, Exception):
            outcome.set_exception(ended)
        else:
            outcome.set_result(encode(ended))

    async def taken(self, worker: str) -> Task:
        """That worker begins with the task, once there is one."""
        while not self.published:
            await asyncio.sleep(0.01)
        return Task(self, self.published, worker, "first")


def install(patch: pytest.MonkeyPatch, schedulers: dict[str, Scheduler]) -> None:
    """Let bridges find those, by address, in the place of real ones."""

    async def dial(host: str, port: int) -> tuple[None, SimpleNamespace]:
        if any(scheduler.firewall for scheduler in schedulers.values()):
            raise ConnectionRefusedError
        if any(f"tcp://{host}:{port}" in scheduler.processes for scheduler in schedulers.values()):
            return None, SimpleNamespace(close=lambda: None)
        if not all(scheduler.hosts_answer for scheduler in schedulers.values()):
            await asyncio.sleep(3600)
        raise ConnectionRefusedError

    patch.setattr(connecting, "Client", lambda address, **_: Client(schedulers[address]))
    patch.setattr(asyncio, "open_connection", dial)


class Client:
    """Implements what a bridge calls of distributed.Client."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.status = "running"
        self._scheduler = scheduler
        self._heard: dict[str, Callable[[tuple[float, Any]], None]] = {}

    def __await__(self) -> Generator[Any, None, Client]:
        async def connect() -> Client:
            if self._scheduler.refuses is not None:
                raise self._scheduler.refuses
            if not self._scheduler.is_there:
                await asyncio.sleep(self._scheduler.silent_s)
                raise OSError("Timed out trying to connect")
            self._scheduler.clients.append(self)
            return self

        return connect().__await__()

    async def close(self) -> None:
        self.status = "closed"
        if self in self._scheduler.clients:
            self._scheduler.clients.remove(self)

    def tell(self, topic: str, said: Any) -> None:
        if (heard := self._heard.get(topic)) is not None:
            asyncio.get_running_loop().call_soon(heard, (now(), said))

    def subscribe_topic(self, topic: str, heard: Callable[[tuple[float, Any]], None]) -> None:
        self._heard[topic] = heard

    async def log_event(self, topic: str, said: Any) -> None:
        self._there().publish(topic, said)

    async def get_events(self, topic: str) -> list[tuple[float, Any]]:
        return list(self._there().topics[topic])

    async def list_datasets(self) -> list[str]:
        return list(self._there().datasets)

    async def get_dataset(self, name: str, default: Any = None) -> Any:
        return self._there().datasets.get(name, default)

    async def publish_dataset(self, future: Future, *, name: str) -> None:
        if self._there().does_not_publish is not None:
            raise self._there().does_not_publish
        self._there().datasets[name] = future
        self._there().published = name

    async def unpublish_dataset(self, name: str) -> None:
        self._there().datasets.pop(name, None)

    def submit(self, function: Any, parcel: bytes, *, key: str, pure: bool, retries: int) -> Future:
        assert not pure
        assert retries == 0
        future = Future(key)
        self._there().submitted.append(future)
        return future

    async def nthreads(self, workers: list[str]) -> dict[str, int]:
        return {worker: 1 for worker in workers if worker in self._there().workers}

    async def get_versions(self, packages: list[str]) -> dict[str, Any]:
        here = {"packages": {"python": "3.11.7.final.0", **dict.fromkeys(packages, "1.0")}}
        there = self._there()
        workers = {worker: there.versions.get(worker, here) for worker in there.workers}
        return {"client": here, "scheduler": there.versions.get("scheduler", here), "workers": workers}

    async def restart_workers(self, workers: list[str], **_: Any) -> None:
        self._there().restarted += workers
        self._scheduler.workers -= {*workers}  # their processes wait for what they have in work

    async def cancel(self, futures: list[Future]) -> None:
        for future in futures:
            if not future.done():
                future.outcome.cancel()

    async def run_on_scheduler(self, function: Any, names: list[str]) -> None:
        for name in names:
            self._there().topics.pop(name, None)

    def _there(self) -> Scheduler:
        if not self._scheduler.is_there:
            raise OSError("the scheduler is gone")
        return self._scheduler


class Task:
    """What a worker does of it: the test says what."""

    def __init__(self, scheduler: Scheduler, name: str, worker: str, start: str) -> None:
        self.name = name
        self.start = start
        self._scheduler = scheduler
        self._numbers = itertools.count(1)
        self.say(Begins(place(worker)))

    def say(self, said: FromTask) -> None:
        self._scheduler.publish(upward(self.name), encode(Upward(self.start, next(self._numbers), said)))

    def may(self) -> FromBridge | None:
        """What it reads of a bridge in the log, last."""
        said = [each for _, each in self._scheduler.topics[downward(self.name)] if each != MARK]
        return decode_downward(said[-1]).said if said else None

    def end(self, ended: Ended) -> None:
        self._scheduler.end(ended)

    def heard(self) -> list[tuple[float, FromBridge]]:
        """When the bridges have said what."""
        topic = downward(self.name)
        log = [(at, said) for at, to, said in self._scheduler.ever_said if to == topic and said != MARK]
        return [(at, decode_downward(said).said) for at, said in log]

    async def hears(self, kind: type) -> float:
        """When that was said, once it is."""
        while True:
            for at, said in self.heard():
                if isinstance(said, kind):
                    return at
            await asyncio.sleep(0.01)
