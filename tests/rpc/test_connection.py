"""Messages, their order, and what is refused."""

from __future__ import annotations

import asyncio

import pytest

from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio

GET = "org.jobkeep.Jobs.Get"


async def test_a_call_is_answered(served: Served, client: Client) -> None:
    """Get shows a job that is in memory."""
    await served.daemon.finished_job("abc")

    job = (await client.call(GET, id="abc"))["job"]

    assert job["state"] == "succeeded"
    assert job["elapsed_s"] == 2.5


async def test_three_hundred_pipelined_calls_are_answered_in_order(served: Served, client: Client) -> None:
    """Replies come in the order of the calls, those at once and those that wait alike."""
    for number in range(300):
        await served.daemon.submitted(f"x{number}y")
    ids = [f"x{number}{'y' if number % 3 else ''}" for number in range(300)]
    for id in ids:
        # without its last letter the id is a prefix: that takes a look into the store
        client.ask(GET, id=id) if id.endswith("y") else client.ask("org.jobkeep.Jobs.History", id=f"{id}y")

    for number, id in enumerate(ids):
        said = (await client.reply())["parameters"]
        job = said["job"]["id"] if id.endswith("y") else said["entries"][0]["job"]
        assert job == f"x{number}y"


async def test_a_message_may_come_in_any_pieces(served: Served, client: Client) -> None:
    """A call that arrives byte by byte is a call."""
    await served.daemon.submitted("abc")
    for byte in b'{"method":"org.jobkeep.Jobs.Get","parameters":{"id":"abc"}}\0':
        client.write(bytes([byte]))
        await asyncio.sleep(0)

    assert (await client.reply())["parameters"]["job"]["id"] == "abc"
