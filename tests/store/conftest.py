"""A way to open the store on SQLite, again and again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from contract.deeds import Heard
from jobkeepd.store.sqlite import SqliteStore

Open = Callable[..., Awaitable[SqliteStore]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def open_store(tmp_path: Path, heard: Heard) -> AsyncIterator[Open]:
    """Opens tmp_path/db, or another; closes at the end what the test has not."""
    opened: list[SqliteStore] = []

    async def open_it(path: Path | None = None, **options: Any) -> SqliteStore:
        options = {"on_entries": heard.on_entries, "on_failure": heard.on_failure, "long_wal": False, **options}
        store = await SqliteStore.open(path or tmp_path / "db", **options)
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        await store.aclose()
