"""The two topics of a task, as the bridge reads them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from jobkeep.dask_bridge.feed import Feed
from jobkeep.dask_bridge.messages import (
    MARK,
    MARK_AGAIN_S,
    Downward,
    Lives,
    Place,
    Upward,
    decode_downward,
    decode_upward,
    downward,
    upward,
)


async def said_down(client: Any, name: str) -> list[Downward]:
    """What bridges have said to a task so far."""
    return [decode_downward(said) for _, said in await client.get_events(downward(name)) if said != MARK]


async def living_at(client: Any, name: str) -> Place | None:
    """Where a task has given its last sign of life."""
    said = [decode_upward(each).said for _, each in await client.get_events(upward(name)) if each != MARK]
    return next((each.place for each in reversed(said) if isinstance(each, Lives)), None)


async def subscribe(client: Any, topic: str, feed: Feed[Upward]) -> None:
    """Let `feed` have all that was said and will be."""
    subscribed = asyncio.Event()

    def came(event: tuple[float, Any]) -> None:
        if event[1] == MARK:
            subscribed.set()
        else:
            feed.came(decode_upward(event[1]))

    client.subscribe_topic(topic, came)
    while not subscribed.is_set():
        await client.log_event(topic, MARK)
        with suppress(TimeoutError):
            await asyncio.wait_for(subscribed.wait(), MARK_AGAIN_S)
    feed.logged([decode_upward(said) for _, said in await client.get_events(topic) if said != MARK])
