"""What is marked as secret, on the wire: accepted, kept apart, and told to nobody."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import json

from jobkeepd.core.secrets import Kept
from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio

JOBS = "org.jobkeep.Jobs"
VALUE = "s3cr3t-of-this-test"
COMMAND = {"command": ["true"], "env": {"TOKEN": VALUE, "LEVEL": "3"}, "secrets": ["TOKEN"]}
FUNCTION = {"function": "m:f", "arguments": {"password": VALUE, "path": "a"}, "secrets": ["password"]}


async def everything_shown(client: Client, id: str) -> str:
    """All that can be asked of a job."""
    said = [await client.call(f"{JOBS}.{method}", id=id) for method in ("Get", "History", "Explain")]
    said += [await client.call(f"{JOBS}.List"), await client.call(f"{JOBS}.Cancel", id=id)]
    said += [await client.call(f"{JOBS}.Wait", ids=[id], timeout_s=0)]
    return json.encode(said).decode()


@pytest.mark.parametrize("spec", [COMMAND, FUNCTION], ids=["variable", "argument"])
async def test_a_secret_is_in_no_reply(served: Served, client: Client, spec: dict[str, Any]) -> None:
    """Only its name is; the value is kept, under a name that tells nothing of it, not even whether two are alike."""
    first, second = [(await client.call(f"{JOBS}.Submit", spec=spec))["id"] for _ in range(2)]
    store = served.daemon.store
    names = [str((await store.get(id)).environment) for id in (first, second)]
    assert len(set(names)) == 2
    kept = await store.environment(names[0])
    assert VALUE in (*kept.variables.values(), *kept.arguments.values())

    shown = await everything_shown(client, first)
    assert VALUE not in shown
    assert spec["secrets"][0] in shown
    left = (await client.call(f"{JOBS}.Get", id=first))["job"]["spec"]
    assert left["secrets"] == spec["secrets"]
    assert left.get("env", {}) == ({"LEVEL": "3"} if spec is COMMAND else {})
    assert left.get("arguments", {}) == ({} if spec is COMMAND else {"path": "a"})


@pytest.mark.parametrize("spec", [COMMAND, FUNCTION], ids=["variable", "argument"])
async def test_a_shown_spec_cannot_be_submitted_without_its_secrets(client: Client, spec: dict[str, Any]) -> None:
    """A job that got a mask, or nothing, in place of its password would be worse than an error."""
    id = (await client.call(f"{JOBS}.Submit", spec=spec))["id"]
    left = (await client.call(f"{JOBS}.Get", id=id))["job"]["spec"]
    name, said = await client.error(f"{JOBS}.Submit", spec=left)
    assert (name, said["field"]) == ("Invalid", "spec.secrets")


async def test_items_have_secrets_of_their_own(served: Served, client: Client) -> None:
    """Alike is what reads alike, as for the rest; whether a request is the same is not asked of its secrets."""
    values = [1, 1, True, "a"]
    template = {"function": "m:f", "secrets": ["n"], "environment": {"A": "1"}}
    items = [{"arguments": {"n": value}, "priority": number} for number, value in enumerate(values)]
    ids = (await client.call(f"{JOBS}.SubmitMany", template=template, items=items, request_id="r"))["ids"]
    store = served.daemon.store
    kept = [await store.environment(str((await store.get(id)).environment)) for id in ids]
    assert repr([each.arguments["n"] for each in kept]) == repr(values)
    assert all(each.environment == {"A": "1"} for each in kept)
    items[3]["arguments"] = {"n": "b"}
    assert (await client.call(f"{JOBS}.SubmitMany", template=template, items=items, request_id="r"))["ids"] == ids


async def test_secrets_of_a_batch_have_a_limit(client: Client) -> None:
    """Each item keeps its own, with the environment that it has of the template."""
    template = {"function": "m:f", "secrets": ["n"], "environment": {"A": "x" * (250 << 10)}}
    items = [{"arguments": {"n": number}} for number in range(1000)]
    name, said = await client.error(f"{JOBS}.SubmitMany", template=template, items=items)
    assert (name, said["field"]) == ("TooLarge", "items")


async def test_the_jobs_of_a_schedule_have_its_secrets(served: Served, client: Client) -> None:
    """And what shows the schedule does not."""
    given = {"name": "nightly", "cron": "30 2 * * *", "spec": COMMAND}
    schedules = "org.jobkeep.Schedules"
    said = [await client.call(f"{schedules}.Add", **given), await client.call(f"{schedules}.List")]
    said.append(await client.call(f"{schedules}.Trigger", name="nightly"))
    assert VALUE not in json.encode(said).decode()
    job = await served.daemon.store.get(said[-1]["id"])
    assert await served.daemon.store.environment(str(job.environment)) == Kept({}, {"TOKEN": VALUE})
