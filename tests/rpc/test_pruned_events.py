"""Whoever asks for events that were pruned is told so, and where the journal goes on."""

from __future__ import annotations

import asyncio

import pytest

from jobkeepd.store.changes import Note
from jobkeepd.store.removal_changes import ForgetEvents
from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio

J = "org.jobkeep.Jobs."


async def pruned(served: Served) -> None:
    """Seqs 1 to 9 but for the job's, which is 4."""
    for number in range(1, 21):
        if number == 4:
            await served.daemon.submitted("abc")
        else:
            served.daemon.store.send(Note(kind="odd", at=float(number)))
    await served.daemon.store.apply(ForgetEvents(through=9))


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("after", [0, 3, 4, 8])
async def test_events_that_are_gone_are_told(served: Served, client: Client, after: int, follow: bool) -> None:
    """Not left out: whoever resumes behind one of them has missed something."""
    await pruned(served)
    client.ask(J + "Events", {"more": True}, after=after, follow=follow)
    reply = await client.reply()
    assert reply["error"] == "org.jobkeep.Jobs.EventsGone"
    said = reply["parameters"]
    assert (said["after"], said["first"]) == (after, 10)
    assert said["message"] == f"events after {after} are not kept any more"


@pytest.mark.parametrize("after", [9, 12, None])
async def test_behind_them_nothing_is_missing(served: Served, client: Client, after: int | None) -> None:
    """Also without a seq to begin with: what there is begins where the journal is whole."""
    await pruned(served)
    client.ask(J + "Events", {"more": True}, after=after)
    seqs = []
    while (reply := await client.reply()).get("continues"):
        seqs.append(reply["parameters"]["event"]["seq"])
    assert seqs == list(range((after or 9) + 1, 21))
    assert "error" not in reply


async def test_who_follows_is_told_when_pruning_overtakes_him(served: Served, client: Client) -> None:
    """He had more before him than the feed keeps; what comes next is not passed off as the next."""
    client.ask(J + "Events", {"more": True}, follow=True, after=0)
    await client.writer.drain()
    while not served.daemon.feed._subscriptions:
        await asyncio.sleep(0)
    for _ in range(3000):
        served.daemon.store.send(Note(kind="odd", at=1.0))
    await served.daemon.store.apply(ForgetEvents(through=2900))
    seqs = []
    while (reply := await client.reply()).get("continues"):
        seqs.append(reply["parameters"]["event"]["seq"])
    assert reply["error"] == "org.jobkeep.Jobs.EventsGone"
    assert reply["parameters"]["first"] == 2901
    assert seqs == list(range(1, reply["parameters"]["after"] + 1))


async def test_the_history_of_a_job_is_whole(served: Served, client: Client) -> None:
    """As long as there is the job, in its own stream as well."""
    await pruned(served)
    assert [each["seq"] for each in (await client.call(J + "History", id="abc"))["entries"]] == [4]
    client.ask(J + "Events", {"more": True}, job="abc")
    assert (await client.reply())["parameters"]["event"]["seq"] == 4
