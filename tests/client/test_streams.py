"""Streams and long waits, which have connections of their own and survive the daemon's restarts."""

from __future__ import annotations

import base64
import threading
from typing import Any

import anyio
import pytest

import jobkeep
from jobkeep.client.following import LineCutter
from jobkeep.protocol.jobs import LogChunk
from jobkeep.protocol.vocabulary import Stream

from .fake_daemon import Called, Drop, FakeDaemon, Refusal, event, job

pytestmark = pytest.mark.anyio


def chunk(data: bytes, offset: int = 0, stream: Stream = "stdout") -> dict[str, Any]:
    return {"stream": stream, "run": 1, "offset": offset, "data": base64.b64encode(data).decode()}


async def test_events_go_on_after_the_last_one_seen(daemon: FakeDaemon) -> None:
    """A stream that breaks is taken up again, without gap and without repetition."""
    daemon.on("Jobs.Events", [event(1), event(2), Drop()], [event(2), event(3), {}])

    async with jobkeep.connect(daemon.path) as jk:
        seen = [entry.seq async for entry in jk.events(after=0)]

    assert seen == [1, 2, 3]
    assert [call.parameters["after"] for call in daemon.received("Jobs.Events", 2)] == [0, 2]
    assert all(call.more for call in daemon.calls)


async def test_a_slow_reader_is_served_from_where_it_was(daemon: FakeDaemon) -> None:
    """When the daemon gives up on a reader, the stream is asked for again."""
    refusal = Refusal("org.jobkeep.Jobs.SlowReader", {"message": "too slow", "after": 1})
    daemon.on("Jobs.Events", [event(1), refusal], [event(2)])

    async with jobkeep.connect(daemon.path) as jk:
        assert [entry.seq async for entry in jk.events(after=0)] == [1, 2]


async def test_the_events_of_a_job_end_with_it(daemon: FakeDaemon) -> None:
    """Following one job's journal stops at its end, though the daemon would go on."""
    daemon.on("Jobs.Events", [event(1, "running"), event(2, "succeeded"), event(3, "never_read")])
    daemon.on("Jobs.Get", {"job": job(ended_at="2026-01-01T00:00:00Z")})

    async with jobkeep.connect(daemon.path) as jk:
        kinds = [entry.kind async for entry in jk.job("abc12345").events()]

    assert kinds == ["running", "succeeded"]


async def test_more_events_than_are_read_at_once_all_arrive(daemon: FakeDaemon) -> None:
    """A burst beyond the reader's window is held back, not lost."""
    daemon.on("Jobs.Events", [event(seq) for seq in range(1, 3001)])

    async with jobkeep.connect(daemon.path) as jk:
        assert [entry.seq async for entry in jk.events(after=0)] == list(range(1, 3001))


async def test_a_log_goes_on_at_its_offset(daemon: FakeDaemon) -> None:
    """After a break a single stream is asked for from the byte after the last one, of the same run."""
    daemon.on("Jobs.Logs", [chunk(b"one\ntw"), Drop()], [chunk(b"o\n", 6), {}])

    async with jobkeep.connect(daemon.path) as jk:
        lines = [line async for line in jk.job("j").logs(follow=True, stream="stdout", lines=5)]

    first, second = (call.parameters for call in daemon.received("Jobs.Logs", 2))
    assert lines == ["one", "two"]
    assert (first["lines"], first["offset"]) == (5, None)
    assert (second["lines"], second["offset"], second["run"]) == (None, 6, 1)


NO_RUN = Refusal("org.jobkeep.Jobs.NoRun", {"message": "no run yet", "id": "j", "run": None})


async def test_following_a_log_waits_for_the_first_run(daemon: FakeDaemon) -> None:
    """A job that was only just submitted has no run yet; without `follow` that is an error."""
    daemon.on("Jobs.Logs", NO_RUN, NO_RUN, [chunk(b"hello\n")])
    daemon.on("Jobs.Get", {"job": job(state="queued", attempt=0)})

    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.NoRun):
            [line async for line in jk.job("j").logs()]
        assert [line async for line in jk.job("j").logs(follow=True)] == ["hello"]


async def test_a_job_that_never_ran_has_an_empty_log(daemon: FakeDaemon) -> None:
    """Following the log of a job that was cancelled in its queue ends."""
    daemon.on("Jobs.Logs", NO_RUN)
    daemon.on("Jobs.Get", {"job": job(state="cancelled", attempt=0)})

    async with jobkeep.connect(daemon.path) as jk:
        assert [line async for line in jk.job("j").logs(follow=True)] == []
    with jobkeep.connect_blocking(daemon.path) as blocking:
        assert list(blocking.job("j").logs(follow=True)) == []


async def test_both_streams_of_a_log_go_on_without_repetition(daemon: FakeDaemon) -> None:
    """After a break both streams come again from their beginning; what was seen is skipped, to the byte."""
    again = [chunk(b"one\ntwo\n"), chunk(b"oops\n", stream="stderr")]
    daemon.on("Jobs.Logs", [chunk(b"one\n"), chunk(b"oo", stream="stderr"), Drop()], again)

    async with jobkeep.connect(daemon.path) as jk:
        chunks = [(c.stream, c.offset, c.data) async for c in jk.job("j").logs(follow=True, raw=True)]

    assert chunks == [("stdout", 0, b"one\n"), ("stderr", 0, b"oo"), ("stdout", 4, b"two\n"), ("stderr", 2, b"ps\n")]


def test_lines_are_cut_apart_by_stream() -> None:
    """Bytes of the two streams never meet in one line; the last line needs no newline; bad UTF-8 is replaced."""
    cutter = LineCutter()
    cut = [
        cutter.feed(LogChunk("stdout", 1, 0, b"a\xffb")),
        cutter.feed(LogChunk("stderr", 1, 0, b"x\ny")),
        cutter.feed(LogChunk("stdout", 1, 3, b"c\r\n\n")),
    ]

    assert cut == [[], ["x"], ["a\ufffdbc", ""]]
    assert list(cutter.flush()) == ["y"]


def test_dropped_output_is_a_line_that_says_so() -> None:
    """What was before it and is not complete any more comes first, and is not joined with what comes behind it."""
    cutter = LineCutter()
    cut = [
        cutter.feed(LogChunk("stdout", 1, 0, b"whole\nhal")),
        cutter.feed(LogChunk("stderr", 1, 0, b"other")),
        cutter.feed(LogChunk("stdout", 1, 2057, b"", dropped=2048)),
        cutter.feed(LogChunk("stdout", 1, 2057, b"next\n")),
    ]

    assert cut == [["whole"], [], ["hal", "… 2 KiB of older output dropped by rotation"], ["next"]]


@pytest.mark.parametrize("kind", ["awaited", "blocking"])
async def test_dropped_output_is_told_once_and_with_what_was_not_seen(daemon: FakeDaemon, kind: str) -> None:
    """After a break both streams are asked for from their beginning, and again something may have gone."""
    daemon.on(
        "Jobs.Logs",
        [{**chunk(b"", 100), "dropped": 100}, chunk(b"one\n", 100), Drop()],
        [{**chunk(b"", 100), "dropped": 100}, chunk(b"one\n", 100), {**chunk(b"", 150), "dropped": 46}, {}],
    )
    if kind == "blocking":
        with jobkeep.connect_blocking(daemon.path) as blocking:
            chunks = list(blocking.job("j").logs(follow=True, raw=True))
    else:
        async with jobkeep.connect(daemon.path) as jk:
            chunks = [each async for each in jk.job("j").logs(follow=True, raw=True)]

    assert [(each.offset, each.data, each.dropped) for each in chunks] == [
        (100, b"", 100), (100, b"one\n", 0), (150, b"", 46),
    ]  # fmt: skip


async def test_a_wait_goes_on_over_restarts(daemon: FakeDaemon) -> None:
    """A wait whose connection drops is asked again, for the time that is left."""
    daemon.on("Jobs.Wait", Drop(), {"jobs": [job()]})

    async with jobkeep.connect(daemon.path) as jk:
        assert (await jk.job("abc12345").wait(timeout="1h")).state == "succeeded"

    first, second = (call.parameters["timeout_s"] for call in daemon.received("Jobs.Wait", 2))
    assert 3590 < second <= first <= 3600


async def test_a_wait_that_is_over_names_who_has_ended(daemon: FakeDaemon) -> None:
    """TimedOut carries the ids of the jobs that have ended."""
    daemon.on("Jobs.Wait", {"jobs": [job("j1")], "timed_out": True})

    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.TimedOut, match="not ended within 1 s") as caught:
            await jk.wait(["j1", "j2"], timeout=1)

    assert caught.value.ended == ["j1"]


async def test_many_jobs_are_waited_for_in_several_messages(daemon: FakeDaemon) -> None:
    """A Wait names at most a thousand jobs."""
    daemon.on("Jobs.Wait", lambda called: {"jobs": [job(id) for id in called.parameters["ids"]]})

    async with jobkeep.connect(daemon.path) as jk:
        found = await jk.wait([f"j{number}" for number in range(1500)])

    assert [entry.id for entry in found] == [f"j{number}" for number in range(1500)]
    assert [len(call.parameters["ids"]) for call in daemon.received("Jobs.Wait", 2)] == [1000, 500]


async def test_a_result_is_the_value_of_the_function(daemon: FakeDaemon) -> None:
    """A function's result is its JSON value; a command's is exit code 0."""
    daemon.on("Jobs.Wait", {"jobs": [job(kind="function")]}, {"jobs": [job()]})
    daemon.on("Jobs.Result", {"result": {"added": 217}})

    async with jobkeep.connect(daemon.path) as jk:
        assert await jk.job("f").result() == {"added": 217}
        assert await jk.job("c").result() == 0


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        ({"kind": "failed", "exit_code": 3}, "exit code 3"),
        ({"kind": "failed", "signal": 9}, "signal 9"),
        ({"kind": "lost", "reason": "nobody saw its end"}, "nobody saw its end"),
        ({"kind": "failed", "error": {"type": "ValueError", "message": "no"}}, "ValueError: no"),
    ],
)
async def test_a_job_that_failed_says_why(daemon: FakeDaemon, outcome: dict[str, Any], why: str) -> None:
    """JobFailed carries id, state and outcome, and words for them."""
    daemon.on("Jobs.Wait", {"jobs": [job(state="failed", outcome=outcome)]})

    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.JobFailed, match=why) as caught:
            await jk.job("abc12345").result()

    assert (caught.value.id, caught.value.state) == ("abc12345", "failed")


async def test_jobs_come_page_by_page(daemon: FakeDaemon) -> None:
    """A list goes on until the daemon has no more, or the limit is reached."""

    def page(called: Called) -> dict[str, Any]:
        before = called.parameters["before"] or 7
        ids = range(before - 1, max(before - 1 - min(called.parameters["limit"], 3), 0), -1)
        return {"jobs": [job(f"j{id}") for id in ids], "next": ids[-1] if ids and ids[-1] > 1 else None}

    daemon.on("Jobs.List", page)
    async with jobkeep.connect(daemon.path) as jk:
        everything = [found.id async for found in jk.jobs(state="failed", label={"client": "acme"}, since="1h")]
        some = [found.id async for found in jk.jobs(limit=4)]

    asked = daemon.received("Jobs.List")[0].parameters
    assert everything == ["j6", "j5", "j4", "j3", "j2", "j1"]
    assert some == ["j6", "j5", "j4", "j3"]
    assert (asked["state"], asked["label"], asked["since_s"]) == (["failed"], {"client": "acme"}, 3600)


async def test_waiting_for_very_many_jobs_at_once_takes_few_connections(daemon: FakeDaemon) -> None:
    """Beyond a crowd, a wait looks now and then over the shared connection."""
    go = threading.Event()

    def wait(called: Called) -> dict[str, Any]:
        if called.parameters["timeout_s"] == 0:
            looked.release()
            return {"jobs": [job(called.parameters["ids"][0])] if go.is_set() else [], "timed_out": not go.is_set()}
        go.wait(60)
        return {"jobs": [job(called.parameters["ids"][0])]}

    daemon.on("Jobs.Wait", wait)
    looked = threading.Semaphore(0)
    ended: list[str] = []

    async def ask(jk: jobkeep.Client, id: str) -> None:
        ended.append((await jk.job(id).wait()).id)

    async with jobkeep.connect(daemon.path) as jk, anyio.create_task_group() as group:
        for number in range(70):
            group.start_soon(ask, jk, f"j{number}")
        for _ in range(6):
            assert await anyio.to_thread.run_sync(looked.acquire, True, 60.0)
        go.set()

    assert sorted(ended) == sorted(f"j{number}" for number in range(70))
    looks = [call for call in daemon.calls if call.parameters["timeout_s"] == 0]
    assert len({call.connection for call in looks}) == 1
