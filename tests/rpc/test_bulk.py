"""Verbs for all jobs that match, and the removal of one, through the wire."""

from __future__ import annotations

from typing import Any

import pytest

from jobkeep.protocol.jobs import JobSpec
from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio
J = "org.jobkeep.Jobs."


async def fill(served: Served, count: int, **spec: Any) -> list[str]:
    return [
        (await served.daemon.submitted(f"{spec.get('queue', 'job')}{number:03}", JobSpec(command=["x"], **spec))).id
        for number in range(count)
    ]


async def sweep(client: Client, method: str, **asked: Any) -> list[dict[str, Any]]:
    pages = [await client.call(J + method, **asked)]
    while (before := pages[-1].get("next")) is not None:
        pages.append(await client.call(J + method, before=before, **asked))
    return pages


async def test_pages_take_in_all_that_match_and_no_others(served: Served, client: Client) -> None:
    """Newest first; each call is bounded. Then nobody matches any more."""
    bulk = await fill(served, 5, queue="bulk", labels={"a": "b"})
    others = await fill(served, 2)
    pages = await sweep(client, "CancelMatching", queue="bulk", label={"a": "b"}, limit=2, reason="enough")
    assert [id for page in pages for id in page["ids"]] == bulk[::-1]
    assert [page["states"] for page in pages] == [{"cancelled": 2}, {"cancelled": 2}, {"cancelled": 1}]
    assert max(served.daemon.jobs.pages) == 2
    assert [(await served.daemon.store.get(id)).state for id in others] == ["queued", "queued"]
    (again,) = await sweep(client, "CancelMatching", queue="bulk")
    assert (again["ids"], again["states"], again["refused"]) == ([], {}, [])
    assert (await served.daemon.store.history(bulk[0]))[-2].data["reason"] == "enough"


async def test_without_a_condition_all_has_to_be_said(served: Served, client: Client) -> None:
    """A mistake must not cancel everything; neither must a page be too large."""
    jobs = await fill(served, 3)
    for method in ("CancelMatching", "ResumeMatching", "RestartMatching", "RemoveMatching"):
        name, said = await client.error(J + method, limit=2)
        assert (name, said["field"]) == ("Invalid", "all")
    assert (await client.error(J + "CancelMatching", all=True, limit=201))[0] == "InvalidParameter"
    assert (await served.daemon.store.counts()) == {("default", "queued"): 3}
    (page,) = await sweep(client, "CancelMatching", all=True)
    assert page["ids"] == jobs[::-1]


async def test_a_dry_run_changes_nothing_and_says_the_same(served: Served, client: Client) -> None:
    """Who would be done, who would be refused and why."""
    await fill(served, 2)
    await served.daemon.finished_job("over")
    before = await served.daemon.store.last_seq()
    asked = {"state": ["queued", "succeeded"]}
    (dry,) = await sweep(client, "CancelMatching", dry_run=True, **asked)
    assert await served.daemon.store.last_seq() == before
    (real,) = await sweep(client, "CancelMatching", **asked)
    assert (dry["ids"], dry["refused"]) == (real["ids"], real["refused"])
    assert real["refused"] == [{"reason": "the job has succeeded already", "count": 1, "id": "over"}]
    assert (dry["states"], real["states"]) == ({"queued": 2}, {"cancelled": 2})


async def test_every_verb_goes_by_its_own_states(served: Served, client: Client) -> None:
    """Restart those that run, resume those that were cancelled, remove those that have ended."""
    first, second, third = await fill(served, 3)
    await served.daemon.started(second)
    await served.daemon.finished_job("over")
    (restarted,) = await sweep(client, "RestartMatching", all=True, from_start=True)
    assert (restarted["ids"], (await served.daemon.store.get(second)).stop) == ([second], "restart_from_start")
    await client.call(J + "Cancel", id=third)
    (resumed,) = await sweep(client, "ResumeMatching", all=True, as_of="2100-01-01T00:00:00Z")
    assert (resumed["ids"], resumed["states"]) == ([third], {"queued": 1})
    (removed,) = await sweep(client, "RemoveMatching", all=True)
    assert (removed["ids"], removed["states"]) == (["over"], {"removed": 1})
    assert (await client.error(J + "Get", id="over"))[0] == "NotFound"
    assert (await client.call(J + "Get", id=first))["job"]["state"] == "queued"


async def test_one_job_is_removed_once_it_has_ended(served: Served, client: Client) -> None:
    """What `actions` says is what the daemon does; explain says the same."""
    await served.daemon.submitted("abc")
    for state, do in (("queued", None), ("running", served.daemon.started), ("succeeded", served.daemon.ended)):
        if do is not None:
            await do("abc")
        shown = (await client.call(J + "Get", id="abc"))["job"]
        listed = (await client.call(J + "List"))["jobs"][0]
        said = (await client.call(J + "Explain", id="abc"))["actions"]
        assert shown["state"] == state
        assert shown["actions"]["rm"] == listed["actions"]["rm"] == said["rm"]
        if shown["actions"]["rm"]["allowed"]:
            assert await client.call(J + "Remove", id="ab", reason="old") == {"id": "abc"}
        else:
            name, refused = await client.error(J + "Remove", id="abc")
            assert (name, refused["reason"]) == ("Refused", shown["actions"]["rm"]["reason"])
            assert refused["reason"] == f"the job is {state}; cancel it first"
    assert (await client.error(J + "Remove", id="abc"))[0] == "NotFound"
