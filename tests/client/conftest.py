"""Fixtures: a scripted daemon on a socket of its own, and both event loops."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .fake_daemon import FakeDaemon


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    fake = FakeDaemon(str(tmp_path / "socket"))
    yield fake
    if Path(fake.path).exists():
        fake.stop()
