"""Recover and Explain on the wire."""

from __future__ import annotations

import os

import pytest

from jobkeep.protocol.jobs import JobSpec
from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio


async def test_recovery_says_what_it_found_and_does(served: Served, client: Client) -> None:
    """One row for each open run; what was asked for reaches the supervisor, and who asked."""
    await served.daemon.submitted("a1", JobSpec(command=["true"], labels={"client": "acme"}))
    await served.daemon.started("a1")
    reply = await client.call("org.jobkeep.Admin.Recover", check=True, older_than_s=1800, then="resume")
    assert reply["check"] is True
    (row,) = reply["rows"]
    assert (row["id"], row["state"], row["labels"], row["stuck_for_s"]) == ("a1", "running", {"client": "acme"}, 2700.0)
    assert (row["verdict"], row["action"], row["reason"]) == ("silent", "fail", "no sign of life for 45 min")
    ((check, older_than, then, by),) = served.daemon.recovery.asked
    assert (check, older_than, then) == (True, 1800.0, "resume")
    assert by is not None
    assert by.uid == os.getuid()


async def test_a_waiting_job_is_explained_by_its_lock(served: Served, client: Client) -> None:
    """Who holds it and since when, in words and as a kind."""
    await client.call("org.jobkeep.Locks.Acquire", name="crm", lease="lease-number-1")
    await served.daemon.submitted("a1", JobSpec(command=["true"], lock="crm"))
    served.daemon.clock.at += 720
    said = await client.call("org.jobkeep.Jobs.Explain", id="a1")
    assert said["state"] == "queued"
    me = f"process {os.getpid()} of user {os.getuid()}"
    text = f"it waits for lock crm, held by {me} for 12 min"
    assert said["reasons"] == [{"kind": "lock", "text": text, "name": "crm"}]
    assert said["actions"]["cancel"]["allowed"] is True


async def test_a_running_job_is_explained_with_what_recovery_would_do(served: Served, client: Client) -> None:
    """And how far it is."""
    await served.daemon.submitted("a1")
    await served.daemon.started("a1")
    served.daemon.clock.at += 60
    kinds = [reason["kind"] for reason in (await client.call("org.jobkeep.Jobs.Explain", id="a1"))["reasons"]]
    assert kinds == ["running", "recovery"]
