"""Looking at jobs and acting on them, through the wire."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import Raw

from jobkeep.protocol.jobs import ErrorInfo, FailedItem, JobSpec, Progress
from jobkeepd.core.liveness import Live
from jobkeepd.store.changes import EndRun, SaveCheckpoint
from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio

J = "org.jobkeep.Jobs."


async def test_a_running_job_shows_its_signs_of_life(served: Served, client: Client) -> None:
    """They move between two looks, though the job in the store does not."""
    await served.daemon.submitted("abc")
    await served.daemon.started("abc")
    served.daemon.jobs.signs["abc"] = Live(Progress(done=3, total=9), 0.5, "late", 7.0)
    first = (await client.call(J + "Get", id="abc"))["job"]
    served.daemon.clock.at += 4
    served.daemon.jobs.signs["abc"] = Live(Progress(done=5, total=9), 0.1, "ok", None)
    second = (await client.call(J + "Get", id="abc"))["job"]

    assert (first["progress"]["done"], first["health"], first["stuck_for_s"], first["elapsed_s"]) == (3, "late", 7, 0)
    assert (second["progress"]["done"], second["health"], second["stuck_for_s"], second["elapsed_s"]) == (
        5,
        "ok",
        None,
        4,
    )


async def test_an_ended_job_that_is_resumed_is_not_shown_from_before(served: Served, client: Client) -> None:
    """What is kept encoded belongs to one state of a job."""
    await served.daemon.submitted("abc")
    await served.daemon.started("abc")
    await served.daemon.ended("abc", "failed", "failed", status=256)
    ended = (await client.call(J + "Get", id="abc"))["job"]
    resumed = await client.call(J + "Resume", id="abc", reason="try again")
    queued = (await client.call(J + "Get", id="abc"))["job"]
    await served.daemon.started("abc")
    again = (await client.call(J + "Get", id="abc"))["job"]

    assert (ended["state"], ended["outcome"]["exit_code"]) == ("failed", 1)
    assert (resumed["state"], queued["state"], queued["ended_at"]) == ("queued", "queued", None)
    assert [run["number"] for run in again["runs"]] == [1, 2]


async def test_an_unknown_and_an_ambiguous_id_are_told_apart(served: Served, client: Client) -> None:
    """By name, with the id or the matches."""
    await served.daemon.submitted("abc")
    await served.daemon.submitted("abd")

    assert (await client.error(J + "Get", id="x"))[1]["id"] == "x"
    assert (await client.error(J + "Get", id="ab"))[1]["matches"] == ["abc", "abd"]
    assert (await client.call(J + "Get", id="abd"))["job"]["id"] == "abd"


async def test_a_list_comes_in_pages(served: Served, client: Client) -> None:
    """`next` leads to the next one, and is missing on the last."""
    for number in range(70):
        await served.daemon.submitted(f"x{number}")
    seen: list[str] = []
    before: int | None = None
    pages = 0
    while True:
        page = await client.call(J + "List", limit=35, before=before)
        seen += [job["id"] for job in page["jobs"]]
        pages += 1
        before = page["next"]
        if before is None:
            break

    assert seen == [f"x{number}" for number in reversed(range(70))]
    assert pages == 2


async def test_a_list_says_that_the_disk_is_full(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks need not ask for it."""
    assert "notice" not in await client.call(J + "List", limit=1)
    monkeypatch.setattr(served.daemon.store, "is_full", True)
    assert (await client.call(J + "List", limit=1))["notice"] == (
        "the disk of the state directory is full: no job is taken or started until 13 MiB are free"
    )


async def test_a_page_of_large_jobs_ends_early(served: Served, client: Client) -> None:
    """No reply is much larger than a page may be."""
    for number in range(8):
        await served.daemon.submitted(f"x{number}", JobSpec(command=["true", "x" * (1 << 19)]))

    page = await client.call(J + "List", limit=8)

    assert 0 < len(page["jobs"]) < 8
    assert page["next"] is not None


async def test_a_list_shows_only_what_is_asked_for(served: Served, client: Client) -> None:
    """By state, queue, label and age."""
    await served.daemon.finished_job("old")
    served.daemon.clock.at += 1000
    await served.daemon.submitted("new", JobSpec(command=["true"], queue="slow", labels={"a": "1"}))

    for where in ({"state": ["queued"]}, {"queue": "slow"}, {"label": {"a": "1"}}, {"since_s": 60}):
        assert [job["id"] for job in (await client.call(J + "List", **where))["jobs"]] == ["new"]


async def test_wait_answers_in_the_order_of_the_question(served: Served, client: Client) -> None:
    """Prefixes and repetitions are fine."""
    await served.daemon.finished_job("bbb")
    await served.daemon.finished_job("aaa")

    said = await client.call(J + "Wait", ids=["bb", "aaa", "bbb"])

    assert [job["id"] for job in said["jobs"]] == ["bbb", "aaa"]
    assert not said["timed_out"]


async def test_wait_says_when_time_is_over(served: Served, client: Client) -> None:
    """With those jobs that have ended."""
    await served.daemon.finished_job("aaa")
    await served.daemon.submitted("bbb")

    said = await client.call(J + "Wait", ids=["aaa", "bbb"], timeout_s=0)
    some = await client.call(J + "Wait", ids=["aaa", "bbb"], any=True)

    assert ([job["id"] for job in said["jobs"]], said["timed_out"]) == (["aaa"], True)
    assert ([job["id"] for job in some["jobs"]], some["timed_out"]) == (["aaa"], False)


async def test_a_result_is_there_once_the_job_has_succeeded(served: Served, client: Client) -> None:
    """Before that it is an error, which names the state."""
    await served.daemon.submitted("abc", JobSpec(function="m:f"))
    early = await client.error(J + "Result", id="abc")
    job = await served.daemon.started("abc")
    at = served.daemon.clock.now()
    result = Raw(b'{"x":[1,null]}')
    await served.daemon.store.apply(EndRun(run=job.ref, outcome="succeeded", state="succeeded", at=at, result=result))

    assert (early[0], early[1]["state"]) == ("NoResult", "queued")
    assert await client.call(J + "Result", id="abc") == {"result": {"x": [1, None]}}


async def test_no_result_is_null(served: Served, client: Client) -> None:
    """As of a function that returned None, or of a command."""
    await served.daemon.finished_job("abc")

    assert await client.call(J + "Result", id="abc") == {"result": None}


async def test_verbs_answer_with_the_new_state(served: Served, client: Client) -> None:
    """Or with the reason why not."""
    await served.daemon.submitted("abc")
    await served.daemon.started("abc")

    assert (await client.call(J + "Restart", id="abc"))["state"] == "running"
    assert (await client.call(J + "Cancel", id="abc", reason="no use"))["state"] == "cancelling"
    await served.daemon.ended("abc", "cancelled", "cancelled")
    name, said = await client.error(J + "Cancel", id="abc")
    assert (name, said["action"], said["reason"]) == ("Refused", "cancel", "the job was cancelled already")


async def test_who_asked_is_in_the_history(served: Served, client: Client) -> None:
    """From the connection, not from what the caller says."""
    await client.call(J + "Submit", spec={"command": ["true"]})

    (entry,) = (await client.call(J + "History", id="job1"))["entries"]

    (guest,) = served.listener.census.guests
    assert entry["by"] == {"uid": guest.peer.uid, "pid": guest.peer.pid}


async def test_failed_items_come_in_pages(served: Served, client: Client) -> None:
    """A page of large ones ends early; the total says how many there are."""
    await served.daemon.submitted("abc")
    job = await served.daemon.started("abc")
    error = ErrorInfo("ValueError", "x" * (1 << 20))
    failed = tuple(FailedItem(str(number), error, ordinal=number) for number in range(5))
    await served.daemon.store.apply(
        SaveCheckpoint(
            run=job.ref, seq=1, cursor=Raw(b"1"), state=Raw(b"null"), done=5, total=5, note=None, tallies={},
            failed=failed, resolved=(), at=served.daemon.clock.now(),
        )
    )  # fmt: skip
    keys: list[str] = []
    while page := (await client.call(J + "FailedItems", id="abc", after=len(keys)))["items"]:
        keys += [item["key"] for item in page]
        assert len(page) < 5

    assert keys == ["0", "1", "2", "3", "4"]


async def test_events_have_no_gap_and_no_repetition(served: Served, client: Client) -> None:
    """Across the border between what is stored and what comes."""
    for number in range(600):
        await served.daemon.submitted(f"x{number}")
    client.ask(J + "Events", {"more": True}, after=10, follow=True)
    for number in range(600, 900):
        await served.daemon.submitted(f"x{number}")
        if number % 50 == 0:
            await asyncio.sleep(0)

    seqs = [(await client.reply())["parameters"]["event"]["seq"] for _ in range(890)]

    assert seqs == list(range(11, 901))


async def test_a_burst_that_is_too_much_for_the_feed_is_read_from_the_store(served: Served, client: Client) -> None:
    """A reader that keeps up loses nothing by it."""
    client.ask(J + "Events", {"more": True}, follow=True, after=0)
    await served.daemon.submitted("first")
    await client.reply()
    for number in range(3000):
        await served.daemon.submitted(f"x{number}")

    seqs = [(await client.reply())["parameters"]["event"]["seq"] for _ in range(3000)]

    assert seqs == list(range(2, 3002))


async def test_following_begins_with_now(served: Served, client: Client) -> None:
    """Without `after`; and only the asked job's entries come."""
    await served.daemon.submitted("abc")
    await served.daemon.submitted("abd")
    client.ask(J + "Events", {"more": True}, follow=True, job="abc")
    await client.writer.drain()
    while not served.daemon.feed._subscriptions:
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    await served.daemon.started("abd")
    await served.daemon.started("abc")

    event = (await client.reply())["parameters"]["event"]
    assert (event["job"], event["kind"]) == ("abc", "started")


async def test_all_that_is_kept_comes_without_following(served: Served, client: Client) -> None:
    """Then the stream ends."""
    await served.daemon.finished_job("abc")
    await served.daemon.submitted("abd")

    every = await client.stream(J + "Events")
    one = await client.stream(J + "Events", job="abd")

    assert [reply["event"]["seq"] for reply in every] == list(range(1, len(every) + 1))
    assert [reply["event"]["job"] for reply in one] == ["abd"]
