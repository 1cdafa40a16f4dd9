"""What people say about queues, in every store."""

from __future__ import annotations

import pytest

from contract.deeds import ALICE, Heard
from jobkeepd.core.queueing import Control, Deed, Order
from jobkeepd.store.base import Store
from jobkeepd.store.queue_changes import ControlQueue

pytestmark = pytest.mark.anyio


async def control(
    store: Store, order: Order, at: float, limit: int | None = None, reason: str | None = None
) -> Control:
    return await store.apply(ControlQueue(queue="io", order=order, by=ALICE, at=at, limit=limit, reason=reason))


async def test_a_queue_is_paused_by_whoever_was_first_until_somebody_resumes_it(store: Store, heard: Heard) -> None:
    """With when and why; what was so before is no event."""
    assert await store.controls() == []
    paused = await control(store, "pause", 1.0, reason="new disk")
    assert paused == Control(name="io", paused=Deed(ALICE, 1.0, "new disk"))
    assert await control(store, "pause", 2.0, reason="mine") == paused
    assert list(await store.controls()) == [paused]
    assert await control(store, "resume", 3.0) == Control(name="io")
    assert await control(store, "resume", 4.0) == Control(name="io")
    assert [(entry.kind, entry.by, entry.data) for entry in heard.entries] == [
        ("queue_paused", ALICE, {"queue": "io", "reason": "new disk"}),
        ("queue_resumed", ALICE, {"queue": "io"}),
    ]


async def test_a_limit_is_set_and_taken_back(store: Store, heard: Heard) -> None:
    """A queue that is paused stays so."""
    await control(store, "pause", 1.0)
    limited = await control(store, "limit", 2.0, limit=7, reason="night")
    assert (limited.limit, limited.limited, limited.paused) == (7, Deed(ALICE, 2.0, "night"), Deed(ALICE, 1.0))
    assert await control(store, "limit", 3.0, limit=7) == limited
    assert await control(store, "limit", 4.0) == Control(name="io", paused=Deed(ALICE, 1.0))
    assert [entry.data.get("limit") for entry in heard.entries if entry.kind == "queue_limited"] == [7, None]
