"""The interface org.jobkeep.Sessions on the wire."""

from __future__ import annotations

import os

import pytest

from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio

SESSIONS = "org.jobkeep.Sessions"
LEASE = "lease-number-1"


async def test_a_session_is_opened_under_a_lease_that_is_given_back_as_a_locks(served: Served, client: Client) -> None:
    """The reply names the lock, the token, and what there is to know of the session."""
    opened = await client.call(f"{SESSIONS}.Open", name="browser", lease=LEASE, ttl_s=30, wait_s=5)
    assert (opened["lock"], opened["token"], opened["ttl_s"]) == ("session:browser", 1, 30.0)
    session = opened["session"]
    assert (session["state"], session["pid"], session["info"]) == ("in_use", 4711, {"url": "http://x"})
    assert (session["in_use_by"]["pid"], session["health"], session["job"]) == (os.getpid(), "ok", "a1")
    assert await client.call("org.jobkeep.Locks.Release", name="session:browser", token=1) == {}
    (broken, browser) = (await client.call(f"{SESSIONS}.List"))["sessions"]
    assert (browser["state"], browser["in_use_by"], browser["waiting"]) == ("ready", None, 2)
    assert (broken["state"], broken["pid"], broken["health"]) == ("dead", None, "unknown")
    assert (broken["reason"], broken["started_at"]) == ("exit code 3", None)
    assert served.daemon.locks.waits == [5.0]


async def test_why_it_cannot_be_had_is_an_error_of_its_own(client: Client) -> None:
    """Somebody has it; it ends at once; there is none of that name."""
    await client.call(f"{SESSIONS}.Open", name="browser", lease=LEASE)
    name, said = await client.error(f"{SESSIONS}.Open", name="browser", lease="another-lease")
    assert (name, said["name"], said["pid"]) == ("SessionInUse", "browser", os.getpid())
    name, said = await client.error(f"{SESSIONS}.Open", name="broken", lease=LEASE)
    assert (name, said["reason"], said["job"]) == ("SessionFailed", "it ended before it was ready: exit code 3", "b1")
    name, said = await client.error(f"{SESSIONS}.Open", name="brwoser", lease=LEASE)
    assert (name, said["known"]) == ("UnknownSession", ["broken", "browser"])
    assert said["message"] == "there is no session brwoser; there are: broken, browser"


async def test_a_session_is_closed_with_a_reason(served: Served, client: Client) -> None:
    """The reply says which job was ended for it."""
    reply = await client.call(f"{SESSIONS}.Close", name="browser", force=True, reason="upgrade")
    assert (reply["ended"], reply["session"]["name"]) == ("a1", "browser")
    assert served.daemon.sessions.closed == [("browser", True, "upgrade")]
