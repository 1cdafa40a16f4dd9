"""The interface org.jobkeep.Locks on the wire."""

from __future__ import annotations

import os

import pytest

from jobkeep.protocol.jobs import JobSpec
from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio

LOCKS = "org.jobkeep.Locks"
LEASE = "lease-number-1"


async def test_a_lock_is_taken_renewed_and_given_back(served: Served, client: Client) -> None:
    """Its token names the hold; once given back it is over."""
    taken = await client.call(f"{LOCKS}.Acquire", name="crm", lease=LEASE, ttl_s=30, wait_s=5)
    assert taken == {"token": 1, "ttl_s": 30.0}
    assert await client.call(f"{LOCKS}.Renew", name="crm", token=1, linger_s=10) == {}
    assert served.daemon.locks.waits == [5.0, 10.0]
    assert await client.call(f"{LOCKS}.Release", name="crm", token=1) == {}
    name, said = await client.error(f"{LOCKS}.Renew", name="crm", token=1)
    assert (name, said["name"], said["token"]) == ("LeaseLost", "crm", 1)


async def test_who_comes_second_is_told_who_has_it_and_since_when(served: Served, client: Client) -> None:
    """By process and user."""
    await client.call(f"{LOCKS}.Acquire", name="crm", lease=LEASE)
    served.daemon.clock.at += 12.5
    name, said = await client.error(f"{LOCKS}.Acquire", name="crm", lease="another-lease")
    assert name == "LockHeld"
    assert (said["kind"], said["pid"], said["uid"], said["since_s"]) == ("client", os.getpid(), os.getuid(), 12.5)
    assert said["message"] == f"the lock crm is held by process {os.getpid()} of user {os.getuid()}"


async def test_a_lock_is_shown_with_its_ages(served: Served, client: Client) -> None:
    """Held for longer than max_hold it is stale; free it is a name and a token."""
    await client.call(f"{LOCKS}.Acquire", name="crm", lease=LEASE, ttl_s=86400)
    await served.daemon.submitted("a1", JobSpec(command=["true"], lock="crm"))
    served.daemon.clock.at += 4000
    (lock,) = (await client.call(f"{LOCKS}.List"))["locks"]
    assert (lock["age_s"], lock["expires_in_s"], lock["stale"]) == (4000.0, 82400.0, True)
    shown = (await client.call(f"{LOCKS}.Show", name="crm"))["lock"]
    assert (shown["waiting"], shown["holder"]["kind"]) == (1, "client")
    await client.call(f"{LOCKS}.Release", name="crm", token=1)
    shown = (await client.call(f"{LOCKS}.Show", name="crm"))["lock"]
    assert (shown["token"], shown["holder"], shown["age_s"], shown["stale"]) == (1, None, None, False)
    assert await client.call(f"{LOCKS}.List") == {"locks": []}
    assert (await client.error(f"{LOCKS}.Show", name="never"))[0] == "UnknownLock"


async def test_a_lock_is_reset_by_force_alone_while_its_holder_lives(client: Client) -> None:
    """The token rises, so that the old holder's is refused."""
    await client.call(f"{LOCKS}.Acquire", name="crm", lease=LEASE)
    name, said = await client.error(f"{LOCKS}.Reset", name="crm")
    assert name == "LockHeld"
    assert said["message"].endswith("which is alive")
    reply = await client.call(f"{LOCKS}.Reset", name="crm", force=True, reason="stuck")
    assert (reply["lock"]["token"], reply["lock"]["holder"], reply["ended"]) == (2, None, None)
    assert (await client.error(f"{LOCKS}.Renew", name="crm", token=1))[0] == "LeaseLost"


async def test_a_job_shows_its_lock_and_its_conflict_names_the_holder(served: Served, client: Client) -> None:
    """A submit that must not wait is refused; one whose policy needs a key says so."""
    await client.call(f"{LOCKS}.Acquire", name="crm", lease=LEASE)
    spec = {"command": ["true"], "lock": "crm"}
    submitted = await client.call("org.jobkeep.Jobs.Submit", spec=spec)
    assert (await client.call("org.jobkeep.Jobs.Get", id=submitted["id"]))["job"]["lock"] == "crm"
    name, said = await client.error("org.jobkeep.Jobs.Submit", spec=spec, on_conflict="reject")
    assert (name, said["name"]) == ("LockHeld", "crm")
    name, said = await client.error("org.jobkeep.Jobs.Submit", spec=spec, on_conflict="cancel_running")
    assert (name, said["field"]) == ("Invalid", "on_conflict")


async def test_a_lease_is_given_up_by_its_own_name(served: Served, client: Client) -> None:
    """By whoever does not know whether it was granted; somebody else's is not touched."""
    await client.call(f"{LOCKS}.Acquire", name="crm", lease=LEASE)
    assert await client.call(f"{LOCKS}.GiveUp", name="crm", lease="another-lease") == {}
    assert len((await client.call(f"{LOCKS}.List"))["locks"]) == 1
    assert await client.call(f"{LOCKS}.GiveUp", name="crm", lease=LEASE) == {}
    assert await client.call(f"{LOCKS}.List") == {"locks": []}


async def test_a_job_that_waits_says_what_for(served: Served, client: Client) -> None:
    """For its lock, or for its key."""
    await client.call(f"{LOCKS}.Acquire", name="crm", lease=LEASE)
    spec = {"command": ["true"], "key": "k"}
    ids = [
        (await client.call("org.jobkeep.Jobs.Submit", spec=asked, on_conflict=on_conflict))["id"]
        for asked, on_conflict in (({**spec, "key": None, "lock": "crm"}, None), (spec, None))
    ]
    await served.daemon.started(ids[1])
    ids.append((await client.call("org.jobkeep.Jobs.Submit", spec=spec, on_conflict="queue"))["id"])
    held = [(await client.call("org.jobkeep.Jobs.Get", id=id))["job"]["held"] for id in ids]
    assert held == ["it waits for the lock crm", None, "it waits for the key k"]
