"""What the end of a job means for many others: in pieces, which a crash does not stop."""

from __future__ import annotations

import pytest

from contract.deeds import Heard, cancel, submit
from contract.test_dependencies import all_have_failed, chain
from jobkeepd.store.sql_parents import MOST_SETTLED
from jobkeepd.store.writer import Writer
from store.conftest import Open

pytestmark = pytest.mark.anyio

LENGTH = 3 * MOST_SETTLED


async def test_no_commit_settles_more_than_a_piece(open_store: Open, heard: Heard) -> None:
    """Others have their turn in between: what arrives meanwhile waits for one piece, not for all."""
    store = await open_store()
    await chain(store, LENGTH)
    told = len(heard.entries)
    await cancel(store, "c0")
    first = len(heard.entries) - told
    await submit(store, "other")
    await all_have_failed(store, LENGTH - 1)
    kinds = [(entry.kind, entry.job) for entry in heard.entries[told:]]
    assert first <= MOST_SETTLED + 2
    assert kinds.index(("submitted", "other")) < first + 2 * MOST_SETTLED
    assert sum(kind == "failed" for kind, _ in kinds) == LENGTH - 1


async def test_the_next_daemon_goes_on_where_one_has_died(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was not told yet is on record."""
    store = await open_store()
    await chain(store, LENGTH)
    with monkeypatch.context() as dead:
        dead.setattr(Writer, "send", lambda self, change: None)
        await cancel(store, "c0")
        await store.aclose()
    again = await open_store()
    await all_have_failed(again, LENGTH - 1)
