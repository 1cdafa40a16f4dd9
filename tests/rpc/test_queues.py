"""The interface org.jobkeep.Queues on the wire."""

from __future__ import annotations

import os

import pytest

from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio

QUEUES = "org.jobkeep.Queues"


async def test_queues_are_shown_with_what_was_said_about_them(served: Served, client: Client) -> None:
    """Who, when, why; and what they have to do."""
    await served.daemon.submitted("a1")
    paused = (await client.call(f"{QUEUES}.Pause", name="default", reason="new disk"))["queue"]
    assert paused["paused"] == {
        "uid": os.getuid(), "pid": os.getpid(), "at": "2023-11-14T22:13:20Z", "reason": "new disk",
    }  # fmt: skip
    assert (paused["queued"], paused["limit"], paused["limited"]) == (1, 2, None)
    limited = (await client.call(f"{QUEUES}.Limit", name="slow", limit=5))["queue"]
    assert (limited["limit"], limited["configured"], limited["limited"]["uid"]) == (5, 1, os.getuid())
    assert (await client.call(f"{QUEUES}.List"))["queues"] == [paused, limited]
    resumed = (await client.call(f"{QUEUES}.Resume", name="default"))["queue"]
    assert resumed["paused"] is None
    assert (await client.call(f"{QUEUES}.Limit", name="slow"))["queue"]["limit"] == 1
    assert (await client.call(f"{QUEUES}.Show", name="default"))["queue"] == resumed


async def test_a_job_of_a_paused_queue_says_so(served: Served, client: Client) -> None:
    """`held` in one clause, Explain with who and why; other queues' jobs are not held."""
    await served.daemon.submitted("a1")
    await client.call(f"{QUEUES}.Pause", name="default", reason="new disk")
    served.daemon.clock.at += 300
    assert (await client.call("org.jobkeep.Jobs.Get", id="a1"))["job"]["held"] == "its queue default is paused"
    (first, *_) = (await client.call("org.jobkeep.Jobs.Explain", id="a1"))["reasons"]
    text = f"queue default was paused 5 min ago by user {os.getuid()}: new disk"
    assert first == {"kind": "paused", "text": text, "name": "default"}
    await client.call(f"{QUEUES}.Resume", name="default")
    assert (await client.call("org.jobkeep.Jobs.Get", id="a1"))["job"]["held"] is None


async def test_a_queue_that_there_is_not_and_a_limit_that_makes_no_sense_are_refused(client: Client) -> None:
    """With the queues that there are; with the field."""
    for method in ("Show", "Pause", "Resume", "Limit"):
        name, said = await client.error(f"{QUEUES}.{method}", name="nowhere")
        assert (name, said["known"]) == ("UnknownQueue", ["default", "slow"])
    for limit in (0, 10_001):
        name, said = await client.error(f"{QUEUES}.Limit", name="default", limit=limit)
        assert said["parameter"] == "limit"
