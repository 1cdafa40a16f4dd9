"""Messages, their order, and what is refused."""

from __future__ import annotations

import asyncio

import pytest

from rpc.conftest import Client, Serve, Served, until

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


async def test_a_oneway_call_is_never_answered(served: Served, client: Client) -> None:
    """Not with a reply, not with an error, at once or later; and it takes effect."""
    for method in ("org.jobkeep.Admin.Stop", "org.jobkeep.Admin.Status", "org.jobkeep.Jobs.Logs", "org.example.No"):
        client.ask(method, {"oneway": True})
    client.ask(GET, {"oneway": True}, id="nobody")

    assert (await client.call("org.varlink.service.GetInfo"))["product"] == "jobkeepd"
    assert served.daemon.host.stopped


async def test_a_later_answer_waits_for_an_earlier_one(served: Served, client: Client) -> None:
    """What is known at once keeps its place behind what takes time."""
    await served.daemon.submitted("abc")
    await served.daemon.started("abc")
    client.ask("org.jobkeep.Jobs.Wait", ids=["abc"])
    client.ask(GET, id="abc")
    await until(lambda: served.daemon.jobs.waiting)
    await served.daemon.ended("abc")

    assert "jobs" in (await client.reply())["parameters"]
    assert (await client.reply())["parameters"]["job"]["state"] == "running"  # as of when it was asked


async def test_the_next_reply_follows_after_the_end_of_a_stream(served: Served, client: Client) -> None:
    """A stream occupies its connection."""
    await served.daemon.submitted("abc")
    client.ask("org.jobkeep.Jobs.Events", {"more": True}, after=0)
    client.ask("org.varlink.service.GetInfo")

    assert (await client.reply())["parameters"]["event"]["kind"] == "submitted"
    assert await client.reply() == {"parameters": {}}
    assert "product" in (await client.reply())["parameters"]


async def test_streams_that_fail_at_once_do_not_pile_up(client: Client) -> None:
    """A thousand of them in one message are a thousand errors."""
    hello = {"worker": "nobody", "cookie": "c", "pid": 1, "protocol": 1}
    for _ in range(1000):
        client.ask("org.jobkeep.Worker.Attach", {"more": True}, **hello)

    for _ in range(1000):
        assert (await client.reply())["error"] == "org.jobkeep.Worker.UnknownWorker"


async def test_a_waiting_call_ends_with_its_connection(served: Served, client: Client) -> None:
    """Nobody waits for a caller who is gone."""
    await served.daemon.submitted("abc")
    client.ask("org.jobkeep.Jobs.Wait", ids=["abc"])
    await until(lambda: served.daemon.jobs.waiting)
    await client.close()

    await until(lambda: not served.daemon.jobs.waiting)


async def test_a_submit_does_not_end_with_its_connection(served: Served, client: Client) -> None:
    """Once begun, a change is carried through."""
    client.ask("org.jobkeep.Jobs.Submit", spec={"command": ["true"]})
    await client.writer.drain()
    await client.close()

    await until(lambda: served.daemon.store.cached("job1"))


async def test_the_end_of_the_daemon_lets_replies_out(served: Served, client: Client) -> None:
    """What was asked before is answered; streams end; the socket is gone."""
    await served.daemon.submitted("abc")
    follower = await served.client()
    follower.ask("org.jobkeep.Jobs.Events", {"more": True}, after=0, follow=True)
    await follower.reply()
    client.ask("org.jobkeep.Jobs.Wait", ids=["abc"])
    await until(lambda: served.daemon.jobs.waiting)
    closing = asyncio.ensure_future(served.listener.close())
    await asyncio.sleep(0)
    await served.daemon.started("abc")
    await served.daemon.ended("abc")

    assert "jobs" in (await client.reply())["parameters"]
    await closing
    assert await client.hung_up() == b""
    with pytest.raises(FileNotFoundError):
        await served.client()


async def test_the_end_of_the_daemon_does_not_wait_for_ever(serve: Serve) -> None:
    """An answer that does not come in time is not waited for."""
    served = serve(close_within=0.01)
    await served.daemon.submitted("abc")
    client = await served.client()
    client.ask("org.jobkeep.Jobs.Wait", ids=["abc"])
    await until(lambda: served.daemon.jobs.waiting)

    await served.listener.close()

    assert await client.hung_up() == b""
