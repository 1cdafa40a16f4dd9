"""A store of each kind, under each event loop that it supports."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.deeds import Heard
from jobkeepd.store.base import Store
from jobkeepd.store.memory import MemoryStore
from jobkeepd.store.sqlite import SqliteStore
from store import plans


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
        with plans.recorded():
            path = tmp_path / "db"
            made = await SqliteStore.open(path, heard.on_entries, heard.on_failure, keep=keep, long_wal=False)
    try:
        yield made
    finally:
        await made.aclose()
    if kind != "memory":
        assert _objections(tmp_path / "db") == {}


_judged: set[str] = set()


def _objections(database: Path) -> dict[str, list[str]]:
    """No statement may cost more the more jobs there are: what this test has executed first is judged here."""
    unjudged = plans.Recording.executed.keys() - _judged
    _judged.update(unjudged)
    if not unjudged:
        return {}
    with contextlib.closing(sqlite3.connect(database)) as conn:
        found = {sql: plans.objections(conn, sql, plans.Recording.executed[sql]) for sql in unjudged}
    return {sql: steps for sql, steps in found.items() if steps}
