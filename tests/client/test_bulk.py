"""Verbs for all jobs that match: pages, and what they come to."""

from __future__ import annotations

from typing import Any

import pytest

import jobkeep
from jobkeep.client import bulk_requests
from jobkeep.protocol.jobs import Refusal

from .fake_daemon import Called, Drop, FakeDaemon
from .fake_daemon import Refusal as Refuse

PAGES = [
    {"ids": ["c", "b"], "states": {"cancelled": 2}, "refused": [], "next": 7},
    {"ids": ["a"], "states": {"cancelling": 1}, "refused": [{"reason": "no", "count": 2, "id": "z"}], "next": 3},
    {"ids": [], "states": {}, "refused": [{"reason": "no", "count": 1, "id": "y"}]},
]


def pages(called: Called) -> dict[str, Any]:
    return PAGES[{None: 0, 7: 1, 3: 2}[called.parameters.get("before")]]


@pytest.mark.anyio
async def test_pages_are_added_up(daemon: FakeDaemon) -> None:
    """All have the same conditions and the same `as_of`; a page whose answer was lost is asked for again."""
    daemon.on("Jobs.CancelMatching", pages, Drop(), pages)
    async with jobkeep.connect(daemon.path) as jk:
        done = await jk.cancel_matching(state="queued", label={"a": "b"}, since="1h", reason="enough", force=True)
    assert (done.ids, done.states) == (["c", "b", "a"], {"cancelled": 2, "cancelling": 1})
    assert done.refused == [Refusal("no", 3, "y")]
    sent = [called.parameters for called in daemon.received("Jobs.CancelMatching")]
    assert [one.pop("before", None) for one in sent] == [None, 7, 7, 3]
    assert all(one == sent[0] for one in sent)
    assert sent[0].pop("as_of")
    assert {name: value for name, value in sent[0].items() if value not in (None, False, 200)} == {
        "state": ["queued"], "label": {"a": "b"}, "since_s": 3600.0, "reason": "enough", "force": True,
    }  # fmt: skip


@pytest.mark.anyio
async def test_an_error_says_how_far_it_has_come(daemon: FakeDaemon) -> None:
    """What was done is done."""
    daemon.on("Jobs.ResumeMatching", pages, Refuse("org.jobkeep.Admin.StorageFull", {"message": "full"}))
    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.StorageFull) as caught:
            await jk.resume_matching(all=True)
    assert caught.value.__notes__ == ["2 jobs were done before; the same call goes on with the rest"]


@pytest.mark.anyio
async def test_all_of_them_have_to_be_meant(daemon: FakeDaemon) -> None:
    """Nothing is sent without a condition; nor with one that there is not."""
    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.InvalidRequest, match="all=True"):
            await jk.remove_matching(reason="why")
        with pytest.raises(jobkeep.InvalidRequest, match="'stat'"):
            await jk.cancel_matching(stat="queued")  # type: ignore[call-arg]
    assert daemon.calls == []


def test_the_blocking_client_has_the_same(daemon: FakeDaemon) -> None:
    """All four verbs, and the removal of one job."""
    for method in ("Cancel", "Resume", "Restart", "Remove"):
        daemon.on(f"Jobs.{method}Matching", pages)
    daemon.on("Jobs.Remove", {"id": "abc"})
    with jobkeep.connect_blocking(daemon.path) as jk:
        found = [
            jk.cancel_matching(queue="q"), jk.resume_matching(queue="q", failed_items=True),
            jk.restart_matching(queue="q", from_start=True), jk.remove_matching(queue="q", dry_run=True),
        ]  # fmt: skip
        jk.job("ab").remove(reason="old")
    assert all(done == found[0] for done in found)
    assert daemon.received("Jobs.ResumeMatching")[0].parameters["failed_items"] is True
    assert daemon.received("Jobs.RestartMatching")[0].parameters["from_start"] is True
    assert daemon.received("Jobs.RemoveMatching")[0].parameters["dry_run"] is True
    assert daemon.received("Jobs.Remove")[0].parameters == {"id": "ab", "reason": "old"}


def test_the_conditions_are_those_of_the_list() -> None:
    """Names and meanings; so that what was looked at is what is acted on."""
    import inspect

    listed = set(inspect.signature(jobkeep.client.client.Client.jobs).parameters) - {"self", "limit"}
    assert listed <= set(bulk_requests.Matching.__annotations__)
