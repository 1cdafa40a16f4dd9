"""Those who follow the journal of a real daemon, also across its death."""

from __future__ import annotations

import asyncio

import jobkeep
from jobkeep.testing import PrivateDaemon

JOBS, WATCHERS = 60, 5


async def _watch(daemon: PrivateDaemon, seen: list[int], some: asyncio.Event) -> None:
    """Until all jobs have succeeded."""
    left = JOBS
    async with jobkeep.connect(str(daemon.socket), autostart=False) as client:
        async for event in client.events(after=0, follow=True):
            seen.append(event.seq)
            left -= event.kind == "succeeded"
            if left < JOBS - 10:
                some.set()
            if not left:
                return


async def _story(daemon: PrivateDaemon) -> list[list[int]]:
    seen: list[list[int]] = [[] for _ in range(WATCHERS)]
    some = [asyncio.Event() for _ in seen]
    async with asyncio.TaskGroup() as group:
        for mine, event in zip(seen, some, strict=True):
            group.create_task(_watch(daemon, mine, event))
        async with jobkeep.connect(str(daemon.socket), autostart=False) as client:
            await client.submit_many({"command": ["true"]}, [{}] * JOBS)
            for event in some:
                await event.wait()
            daemon.kill()
            with await asyncio.to_thread(daemon.start):
                pass
    return seen


def test_who_follows_a_daemon_that_is_killed_misses_nothing_and_hears_nothing_twice(daemon: PrivateDaemon) -> None:
    """In the midst of a busy time, and without knowing of it: the client goes on behind the last that it has heard."""
    for seqs in asyncio.run(asyncio.wait_for(_story(daemon), 120)):
        assert seqs == list(range(1, len(seqs) + 1))
