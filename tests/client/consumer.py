"""A program that uses the public API, for type checkers alone: what each name gives is what it is said to give here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import jobkeep
from jobkeep.protocol.admin import DrainReply, RecoverReply, StatusReply
from jobkeep.protocol.jobs import Event, FailedItem, Job, LogChunk, MatchingReply, Outcome, StateReply
from jobkeep.protocol.locks import Lock
from jobkeep.protocol.queues import Queue
from jobkeep.protocol.schedules import Schedule
from jobkeep.sdk import Batch
from jobkeep.testing import FakeContext, PrivateDaemon, Rehearsal


def add(a: int, b: int = 1) -> int:
    return a + b


async def awaits() -> None:
    async with jobkeep.connect(Path("/run/jobkeep/socket"), autostart=False) as jk:
        assert_type(jk, jobkeep.Client)
        job = await jk.run(["true"], queue="io", timeout="2h", label={"client": "acme"}, env={"A": "b"}, delay=60)
        assert_type(job, jobkeep.JobHandle)
        assert_type(job.id, str)
        assert_type(await jk.call(add, {"a": 1}, key="k", on_conflict="return", retries=3), jobkeep.JobHandle)
        assert_type(await jk.submit_many({"command": ["true"]}, [{"priority": 1}]), list[jobkeep.JobHandle])
        info = await job.info()
        assert_type(info, Job)
        assert_type(info.progress.done, int)
        assert_type(info.actions.cancel.reason, str | None)
        assert_type(await job.wait("1h"), Job)
        assert_type(await job.cancel(force=True, reason="enough"), StateReply)
        async for event in job.events():
            assert_type(event, Event)
        async for line in job.logs(follow=True, lines=5):
            assert_type(line, str)
        async for chunk in job.logs(raw=True):
            assert_type(chunk, LogChunk)
        async for item in job.failed_items():
            assert_type(item, FailedItem)
        async for found in jk.jobs(state=["failed"], since="1d", limit=3):
            assert_type(found, Job)
        async with jk.lock("crm", ttl="30s", wait=60) as lease, jk.session("browser") as session:
            assert_type(lease, jobkeep.Lease)
            assert_type((lease.token, lease.lost), tuple[int, bool])
            assert_type(session, jobkeep.Session)
            assert_type((session.pid, session.info), tuple[int | None, dict[str, Any]])
        assert_type(await jk.locks(), list[Lock])
        assert_type(await jk.queues(), list[Queue])
        assert_type(await jk.add_schedule("nightly", "0 2 * * *", ["true"], key="k"), Schedule)
        assert_type(await jk.recover(check=True, older_than="30m", then="resume"), RecoverReply)
        assert_type(await jk.drain(timeout=None), DrainReply)
        assert_type(await jk.cancel_matching(label={"a": "b"}, dry_run=True), MatchingReply)


def blocks() -> None:
    with jobkeep.connect_blocking(Path("socket")) as jk:
        assert_type(jk, jobkeep.BlockingClient)
        job = jk.run(["true"])
        assert_type(job, jobkeep.BlockingJobHandle)
        assert_type(job.wait(), Job)
        assert_type([line for line in job.logs()], list[str])
        assert_type([chunk.data for chunk in job.logs(raw=True)], list[bytes])
        assert_type([event.seq for event in jk.events(after=0)], list[int])
        assert_type(jk.status(), StatusReply)
        with jk.lock("crm") as lease:
            assert_type(lease.check(), None)
        try:
            job.result(timeout=60)
        except jobkeep.JobFailed as error:
            assert_type(error.id, str)
            assert_type(error.reason, str)
            assert_type(error.outcome, Outcome | None)
        except jobkeep.LockHeld as error:
            assert_type(error.pid, int | None)


async def works(ctx: jobkeep.JobContext, path: str) -> dict[str, int]:
    async def one(row: str) -> str:
        return row

    batch = await ctx.for_each([path], one, key=str, every=5)
    assert_type(batch, Batch)
    assert_type(batch.tallies, dict[str, int])
    assert_type(ctx.run_number, int)
    child = await ctx.spawn(["true"])
    assert_type(await child.wait(), int)
    await ctx.checkpoint({"done": 1})
    await ctx.progress(1, 2, note="half")
    return batch.tallies


def tests(home: Path) -> None:
    with PrivateDaemon(home, JOBKEEP_QUEUES_DEFAULT_LIMIT="1") as jk:
        assert_type(jk, jobkeep.BlockingClient)
    assert_type(Rehearsal(works, path="x").tallies, dict[str, int])
    assert_type(FakeContext().records.tallies, dict[str, int])
