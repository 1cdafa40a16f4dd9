"""A fake daemon and a real worker process on its socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from .fake_daemon import FakeDaemon, Worker


@pytest.fixture(scope="module")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeDaemon]:
    """With one worker for all tests of a module; those that end it or see its start use `daemon`."""
    directory = tmp_path_factory.mktemp("shared")
    copy(Path(__file__).with_name("sample_jobs.py"), directory / "sample.py")
    fake = FakeDaemon(directory)
    worker = Worker(fake)
    yield fake
    worker.end()
    fake.vanish()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    copy(Path(__file__).with_name("sample_jobs.py"), tmp_path / "sample.py")
    fake = FakeDaemon(tmp_path)
    yield fake
    fake.vanish()


@pytest.fixture
def start(daemon: FakeDaemon) -> Iterator[Callable[..., Worker]]:
    """Starts workers, with timings of their own."""
    workers: list[Worker] = []

    def launch(**timings: Any) -> Worker:
        workers.append(Worker(daemon, **timings))
        return workers[-1]

    yield launch
    for worker in workers:
        worker.end()


@pytest.fixture
def worker(start: Callable[..., Worker]) -> Worker:
    return start()
