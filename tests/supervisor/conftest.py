"""A supervisor over the store in memory and a fake runner, in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
import trio.testing

from fakes.runner import BOOT, FakeClock, FakeProcesses, FakeRunner, NoStragglers
from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.model import Entry, Job, Peer
from jobkeepd.runner.spool import Spool
from jobkeepd.store.changes import NewJob, Submitted
from jobkeepd.store.memory import MemoryStore
from jobkeepd.supervisor.feed import Feed
from jobkeepd.supervisor.settings import JobSettings, QueueSettings
from jobkeepd.supervisor.supervisor import Supervisor
from jobkeepd.supervisor.workshop import Environments, Workshop

ME = Peer(1000, 1000, 42)


class Stage:
    """Everything a test of the supervisor touches."""

    def __init__(
        self,
        store: MemoryStore,
        runner: FakeRunner,
        supervisor: Supervisor,
        processes: FakeProcesses,
        workshop: Workshop,
        feed: Feed,
        group: anyio.abc.TaskGroup,
    ) -> None:
        self.feed = feed
        self.group = group
        self.workshop = workshop
        self.processes = processes
        self.store = store
        self.runner = runner
        self.supervisor = supervisor
        self._ids = (f"job{number:05d}x" for number in itertools.count(1))
        self._change = anyio.Event()

    def changed(self) -> None:
        """Something was committed."""
        self._change.set()
        self._change = anyio.Event()

    async def submit(self, count: int = 1, **spec: Any) -> list[str]:
        """`count` jobs of the same kind."""
        wanted = JobSpec(**({"command": ["true"]} | spec))
        jobs = tuple(NewJob(next(self._ids), wanted, None) for _ in range(count))
        answer = self.supervisor.submit(jobs, (), ME, request=None, digest="", on_conflict=None)
        submitted = await answer.wait()
        assert isinstance(submitted, Submitted)
        return list(submitted.ids)

    async def until(self, job: str, *states: str) -> Job:
        """The job, once it is in one of `states`; virtual time passes, from one commit to the next."""
        with anyio.fail_after(600):
            while (found := await self.store.get(job)).state not in states:
                await self._change.wait()
                await anyio.sleep(0.01)  # and what follows from it at once
        return found

    async def kinds(self, job: str) -> list[str]:
        return [entry.kind for entry in await self.store.history(job)]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    failures: list[Exception] = []
    stages: list[Stage] = []

    def on_entries(entries: list[Entry]) -> None:
        for stage in stages:
            stage.supervisor.on_entries(entries)
            stage.changed()

    store = MemoryStore(on_entries, failures.append)
    runner = FakeRunner()
    clock = FakeClock()
    cookies = itertools.count(1)
    processes = FakeProcesses()
    workshop = Workshop(
        store=store,
        runner=runner,
        clock=clock,
        settings=JobSettings(),
        environments=Environments(store),
        spool=Spool(str(tmp_path)),
        stragglers=NoStragglers(),  # type: ignore[arg-type]
        cookie=lambda: f"cookie{next(cookies)}",
        jitter=lambda: 0.0,
        default_python="/usr/bin/python3",
        default_cwd="/",
        boot_id=BOOT,
    )
    async with anyio.create_task_group() as group:
        limits = {"default": 2, "single": 1, "sessions": 10}
        queues = {name: QueueSettings(limit=limit) for name, limit in limits.items()}
        feed = Feed()
        supervisor = Supervisor(workshop, processes, queues, feed, group)
        stages.append(Stage(store, runner, supervisor, processes, workshop, feed, group))
        supervisor.start()
        yield stages[0]
        group.cancel_scope.cancel()
    await store.aclose()
    assert not failures
