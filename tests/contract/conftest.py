"""A store of each kind, under each event loop that it supports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.deeds import Heard
from jobkeepd.store.base import Store
from jobkeepd.store.memory import MemoryStore
from jobkeepd.store.sqlite import SqliteStore


@pytest.fixture(params=["memory-asyncio", "memory-trio", "sqlite-asyncio", "sqlite_uncached-asyncio"])
def flavour(request: pytest.FixtureRequest) -> tuple[str, str]:
    kind, _, backend = request.param.partition("-")
    return kind, backend


@pytest.fixture
def anyio_backend(flavour: tuple[str, str]) -> str:
    return flavour[1]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def store(flavour: tuple[str, str], heard: Heard, tmp_path: Path) -> AsyncIterator[Store]:
    """`sqlite_uncached` keeps only jobs with an open run in memory: everything else it has to read back."""
    kind, _ = flavour
    made: Store
    if kind == "memory":
        made = MemoryStore(heard.on_entries, heard.on_failure)
    else:
        keep = 0 if kind == "sqlite_uncached" else 2000
        made = await SqliteStore.open(tmp_path / "db", heard.on_entries, heard.on_failure, keep=keep, long_wal=False)
    try:
        yield made
    finally:
        await made.aclose()
