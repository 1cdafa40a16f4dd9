"""Clients that wait for locks, in virtual time: in which order, and what ends a wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from jobkeepd.core.model import Peer
from jobkeepd.errors import LockTaken, ShuttingDown
from jobkeepd.store.changes import Change
from jobkeepd.store.lock_changes import AcquireLock
from supervisor.conftest import Stage

pytestmark = pytest.mark.anyio
ALICE, BOB = Peer(1000, 1000, 501), Peer(1000, 1000, 502)


async def test_nobody_waits_for_a_lock_in_a_daemon_that_ends(stage: Stage) -> None:
    """It would be held up by them; a renewal has taken effect before, a wait goes on with the next daemon."""
    locks = stage.supervisor.locks
    lock = await locks.acquire("crm", "lease-a", 3600.0, 0.0, ALICE)
    heard: list[str] = []

    async def linger() -> None:
        await locks.renew("crm", lock.token, 1000.0, ALICE)
        heard.append("renewed")

    async def wait() -> None:
        with pytest.raises(ShuttingDown):
            await locks.acquire("crm", "lease-b", None, 1000.0, BOB)
        heard.append("shut")

    before = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(linger)
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        locks.stop()
    assert sorted(heard) == ["renewed", "shut"]
    assert anyio.current_time() == before
    assert [held.token for held in await stage.store.locks()] == [lock.token]


async def test_clients_have_a_lock_in_the_order_in_which_they_came(stage: Stage) -> None:
    """Who leaves before its turn passes it on; a release wakes one of them, however many wait."""
    locks = stage.supervisor.locks
    held = await locks.acquire("crm", "lease-0", None, 0.0, ALICE)
    entered: list[int] = []
    tries = 0
    post = stage.store.post

    def counted(change: Change, told: Callable[[Any], None]) -> None:
        nonlocal tries
        tries += isinstance(change, AcquireLock)
        post(change, told)

    async def wait(number: int, *, leaves: bool) -> None:
        with anyio.move_on_after(5.0 if leaves else 1e6):
            lock = await locks.acquire("crm", f"lease-{number}", None, 1e5, ALICE)
            entered.append(number)
            await anyio.sleep(1)
            await locks.release("crm", lock.token, ALICE)

    stage.store.post = counted  # type: ignore[method-assign]
    async with anyio.create_task_group() as tasks:
        for number in range(1, 101):
            tasks.start_soon(partial(wait, number, leaves=number % 3 == 1))
            await anyio.wait_all_tasks_blocked()
        assert tries <= 1
        await anyio.sleep(10)
        assert (await locks.show("crm"))[1] == 66
        await locks.release("crm", held.token, ALICE)
    assert entered == [number for number in range(1, 101) if number % 3 != 1]
    assert tries <= 100 + 66


async def test_who_does_not_wait_is_answered_at_once_though_others_do(stage: Stage) -> None:
    """And so is who waits no longer, wherever it stands."""
    locks = stage.supervisor.locks
    await locks.acquire("crm", "lease-a", 3600.0, 0.0, ALICE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(locks.acquire, "crm", "lease-b", None, 1e5, BOB)
        await anyio.wait_all_tasks_blocked()
        before = anyio.current_time()
        for wait in (0.0, 7.0):
            with pytest.raises(LockTaken):
                await locks.acquire("crm", "lease-c", None, wait, BOB)
        assert anyio.current_time() == before + 7
        tasks.cancel_scope.cancel()
