"""Submit and SubmitMany: what is accepted, what becomes of it, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pytest

from jobkeepd.core.secrets import Kept
from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio

SUBMIT = "org.jobkeep.Jobs.Submit"
MANY = "org.jobkeep.Jobs.SubmitMany"


async def test_a_submitted_job_is_queued(served: Served, client: Client) -> None:
    """The answer names it."""
    said = await client.call(SUBMIT, spec={"command": ["true"], "labels": {"team": "crm"}})

    assert said == {"id": "job1", "state": "queued", "created": True}
    assert (await served.daemon.store.get("job1")).spec.labels == {"team": "crm"}


async def test_the_environment_is_stored_apart(served: Served, client: Client) -> None:
    """It is kept by its hash, and nothing that shows a job shows it."""
    await client.call(SUBMIT, spec={"command": ["true"], "environment": {"B": "2", "A": "1"}})
    job = await served.daemon.store.get("job1")

    assert job.spec.environment is None
    assert await served.daemon.store.environment(str(job.environment)) == Kept({"A": "1", "B": "2"})
    assert "environment" not in (await client.call("org.jobkeep.Jobs.Get", id="job1"))["job"]["spec"]


async def test_the_same_request_has_the_same_answer(client: Client) -> None:
    """Also from another environment; but something else under its id is refused."""
    spec = {"command": ["true"], "environment": {"SHLVL": "1"}}
    first = await client.call(SUBMIT, spec=spec, request_id="r")
    again = await client.call(SUBMIT, spec={**spec, "environment": {"SHLVL": "2"}}, request_id="r")
    other = await client.error(SUBMIT, spec={"command": ["false"]}, request_id="r")

    assert again["id"] == first["id"]
    assert other[0] == "RequestMismatch"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "command"),
        ({"command": ["true"], "function": "m:f"}, "command"),
        ({"command": [""]}, "command[0]"),
        ({"command": ["echo", "a\0b"]}, "command[1]"),
        ({"command": ["true"], "arguments": {"a": 1}}, "arguments"),
        ({"command": ["true"], "cwd": "here"}, "cwd"),
        ({"command": ["true"], "cwd": "/a\0b"}, "cwd"),
        ({"function": "m:f", "python": "python3"}, "python"),
        ({"command": ["true"], "env": {"A=B": "1"}}, "env"),
        ({"command": ["true"], "env": {"": "1"}}, "env"),
        ({"command": ["true"], "env": {"A": "\0"}}, "env.A"),
        ({"command": ["true"], "environment": {"A": "\0"}}, "environment.A"),
        ({"command": ["true"], "env": {"A": "1"}, "secrets": ["B"]}, "secrets"),
        ({"function": "m:f", "on": "dask:c", "credentials": ["a"]}, "credentials"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(client: Client, spec: dict[str, Any], field: str) -> None:
    """The field is named as in the call, one by one or in a batch."""
    name, said = await client.error(SUBMIT, spec=spec)
    many, of_many = await client.error(MANY, template={}, items=[{"command": ["true"]}, spec])

    assert (name, said["field"]) == ("Invalid", f"spec.{field}")
    assert (many, of_many["field"]) == ("Invalid", f"items[1].{field}")


async def test_an_unknown_queue_is_refused_with_the_known_ones(client: Client) -> None:
    """So that a typing error is seen."""
    name, said = await client.error(SUBMIT, spec={"command": ["true"], "queue": "fats"})

    assert name == "UnknownQueue"
    assert said["known"] == ["default", "slow"]


async def test_arguments_are_as_deep_as_every_reader_can_go(client: Client) -> None:
    """A version of Python that goes deeper takes none that would end another one's `ls`."""
    for levels, accepted in ((100, True), (101, False), (800, False)):
        nested: Any = {}
        for _ in range(levels - 2):  # of the arguments themselves, and of what has nothing in it
            nested = [nested]
        spec = {"function": "m:f", "arguments": {"a": nested}}
        if accepted:
            assert await client.call(SUBMIT, spec=spec)
        else:
            name, said = await client.error(SUBMIT, spec=spec)
            assert (name, said["field"]) == ("Invalid", "spec.arguments")


async def test_arguments_have_a_limit(client: Client) -> None:
    """The error names it."""
    name, said = await client.error(SUBMIT, spec={"function": "m:f", "arguments": {"a": "x" * (256 << 10)}})

    assert name == "TooLarge"
    assert said["field"] == "spec.arguments"
    assert said["limit"] == 256 << 10


async def test_items_override_the_template(served: Served, client: Client) -> None:
    """Field by field."""
    said = await client.call(
        MANY,
        template={"function": "m:f", "queue": "slow", "retries": 2, "environment": {"A": "1"}},
        items=[{"arguments": {"n": 1}}, {"arguments": {"n": 2}, "retries": 0, "environment": {"A": "2"}}],
    )
    first, second = [await served.daemon.store.get(id) for id in said["ids"]]

    assert (first.spec.arguments, first.spec.queue, first.spec.retries) == ({"n": 1}, "slow", 2)
    assert (second.spec.arguments, second.spec.queue, second.spec.retries) == ({"n": 2}, "slow", 0)
    assert await served.daemon.store.environment(str(second.environment)) == Kept({"A": "2"})


async def test_items_that_are_alike_are_jobs_of_their_own(served: Served, client: Client) -> None:
    """Alike is what reads alike: 1 is not true, and not 1.0."""
    asked: list[Any] = [1, 1, True, True, 1.0, None, {"1": 1}, {"1": True}]
    items = [{"arguments": {"n": value}, "environment": {"A": "1"}} for value in asked]
    said = await client.call(MANY, template={"function": "m:f"}, items=items)
    jobs = [await served.daemon.store.get(id) for id in said["ids"]]

    assert len({job.id for job in jobs}) == len(asked)
    assert repr([job.spec.arguments["n"] for job in jobs]) == repr(asked)
    assert len({job.environment for job in jobs}) == 1


@pytest.mark.parametrize(
    ("item", "field"), [({"priority": "high"}, "items[1].priority"), ({"colour": 1}, "items[1].colour")]
)
async def test_a_batch_is_accepted_whole_or_not_at_all(
    served: Served, client: Client, item: dict[str, Any], field: str
) -> None:
    """The item that is wrong is named."""
    name, said = await client.error(MANY, template={"command": ["true"]}, items=[{}, item, {}])

    assert (name, said["field"]) == ("Invalid", field)
    assert await served.daemon.store.last_seq() == 0


async def test_a_large_template_times_many_items_has_a_limit(client: Client) -> None:
    """One message of 1 MiB cannot become jobs of 250 MiB."""
    template = {"function": "m:f", "arguments": {"a": "x" * (250 << 10)}}
    name, said = await client.error(MANY, template=template, items=[{}] * 1000)

    assert (name, said["field"]) == ("TooLarge", "items")


async def test_an_environment_that_comes_again_is_recognised_and_no_other_is_taken_for_it(
    served: Served, client: Client
) -> None:
    """What was found by comparing has the same hash as what was hashed."""
    colours = ["red", "blue", "green", "white", "black", "red", "blue"]
    for colour in colours:
        await client.call(SUBMIT, spec={"command": ["true"], "environment": {"COLOUR": colour}})
    store = served.daemon.store
    hashes = [str((await store.get(f"job{number}")).environment) for number in range(1, len(colours) + 1)]
    assert [(await store.environment(hash)).environment["COLOUR"] for hash in hashes] == colours
    assert len(set(hashes)) == 5
