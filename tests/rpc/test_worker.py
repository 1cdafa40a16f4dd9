"""Workers: orders to them and reports of theirs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobkeep.protocol.worker import Order
from rpc.conftest import WITHIN, Client, Served, until

pytestmark = pytest.mark.anyio

W = "org.jobkeep.Worker."
HELLO = {"worker": "seat", "cookie": "c", "pid": 7, "protocol": 1}
RUN: dict[str, Any] = {"run": "abc.1", "fence": 1}


async def attached(served: Served, client: Client) -> None:
    client.ask(W + "Attach", {"more": True}, **HELLO)
    await until(lambda: served.daemon.workers.attached)


async def test_orders_come_as_they_are_given(served: Served, client: Client) -> None:
    """On the connection that attached, for as long as it lives."""
    await attached(served, client)
    (worker,) = served.daemon.workers.attached
    worker.send(Order("retire"))
    worker.send(Order("stop", reason="drain", target="abc.1"))

    assert await client.reply() == {"parameters": {"kind": "retire"}, "continues": True}
    assert (await client.reply())["parameters"]["reason"] == "drain"


async def test_a_worker_is_detached_when_its_connection_ends(served: Served, client: Client) -> None:
    """Whoever ended it; and an order that comes too late goes nowhere."""
    await attached(served, client)
    (worker,) = served.daemon.workers.attached
    await client.close()

    async with asyncio.timeout(WITHIN):
        await worker.gone.wait()
    worker.send(Order("retire"))


async def test_a_worker_that_dials_again_replaces_its_connection(served: Served, client: Client) -> None:
    """The daemon closes the older one."""
    await attached(served, client)
    (worker,) = served.daemon.workers.attached
    worker.close()

    assert await client.hung_up() == b""
    assert worker.gone.is_set()


async def test_an_unknown_worker_is_told_so(client: Client) -> None:
    """It ends itself then."""
    client.ask(W + "Attach", {"more": True}, **{**HELLO, "worker": "nobody"})

    assert (await client.reply())["error"] == "org.jobkeep.Worker.UnknownWorker"


async def test_reports_take_effect_in_their_order_and_are_answered_once_durable(
    served: Served, client: Client
) -> None:
    """No report waits for the commit of the one before."""
    workers = served.daemon.workers
    client.ask(W + "Progress", **RUN, done=1)
    client.ask(W + "Checkpoint", **RUN, seq=1, cursor={"at": 1}, done=1)
    client.ask(W + "SaveStep", **RUN, ordinal=2, name="parse", result=[1])
    client.ask(W + "Beat", **RUN, ticks=5)
    client.ask(W + "Finish", **RUN, outcome="succeeded", result=[1])
    assert await client.reply() == {"parameters": {}}  # of Progress
    await until(lambda: len(workers.taken) == 5)
    taken = list(workers.taken)
    workers.commit.set()

    assert taken == ["progress 1", "checkpoint 1", "step 2 parse", "beat 5", "finish succeeded"]
    assert [await client.reply() for _ in range(4)] == [{"parameters": {}}] * 4


async def test_a_report_is_carried_through_although_its_sender_is_gone(served: Served, client: Client) -> None:
    """The end of a run is not lost with the connection of its worker."""
    client.ask(W + "Finish", **RUN, outcome="succeeded")
    await until(lambda: served.daemon.workers.taken)
    await client.close()
    await served.listener.census.emptied()

    served.daemon.workers.commit.set()
    await until(lambda: served.daemon.workers.durable)


async def test_a_stale_fence_is_refused(client: Client) -> None:
    """By name: its sender ends itself."""
    name, said = await client.error(W + "Beat", run="abc.1", fence=0)

    assert (name, said["run"]) == ("StaleToken", "abc.1")


async def test_keys_of_failed_items_can_be_fetched(client: Client) -> None:
    """For a run that takes only those."""
    assert await client.call(W + "FailedKeys", **RUN) == {"keys": [{"batch": "0", "key": "a"}]}


async def test_the_result_of_a_step_can_be_fetched(client: Client) -> None:
    """As it was stored; one that is not there is an error that names it."""
    assert await client.call(W + "StepResult", **RUN, ordinal=0) == {"result": {"a": 1}}
    name, said = await client.error(W + "StepResult", **RUN, ordinal=3)
    assert (name, said["field"]) == ("Invalid", "ordinal")
