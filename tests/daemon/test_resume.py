"""What resume promises, against a real daemon: where it goes on, what it keeps when that fails, and what it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon

from .test_crashes import wait_for

PATIENCE = "60s"
IMPORT = '''
import os

async def lead(ctx, folder: str):
    """Items are the lines of a file. Files in the folder say what is to happen; each item that begins is logged."""
    if os.path.exists(f"{folder}/broken"):
        raise RuntimeError("broken from the start")

    async def one(line: str) -> str:
        number = int(line)
        with open(f"{folder}/log", "a") as file:
            file.write(f"{ctx.run_number} {number}\\n")
        while number == 229 and not os.path.exists(f"{folder}/gate"):
            await ctx.sleep(0.005)
        if number % 50 == 0 and not os.path.exists(f"{folder}/mended"):
            raise ValueError(f"lead {number} is bad")
        return "added" if number % 3 else "updated"

    with open(f"{folder}/leads") as file:
        lines = file.read().split()
    return (await ctx.for_each(lines, one, key=str, every=10)).tallies
'''
WHOLE = {"added": 205, "updated": 102, "failed": 6}
AT_228 = {"added": 149, "updated": 75, "failed": 4}


class Import:
    """The job over 313 leads, which waits within the 229th until it is let on."""

    def __init__(self, home: Path, jk: jobkeep.BlockingClient) -> None:
        self.home = home
        self.put("leads", "\n".join(str(number) for number in range(1, 314)))
        self.job = jk.call("leads:lead", {"folder": str(home)}, cwd=str(home))

    def put(self, name: str, text: str = "") -> None:
        (self.home / name).write_text(text, encoding="utf-8")

    def drop(self, name: str) -> None:
        (self.home / name).unlink()

    def begun(self, run: int) -> list[int]:
        """Leads that this run began with, in order."""
        log = (self.home / "log").read_text(encoding="utf-8") if (self.home / "log").exists() else ""
        pairs = [line.split() for line in log.splitlines()]
        return [int(number) for one, number in pairs if int(one) == run]

    def stopped_at_228(self) -> jobkeep.BlockingJobHandle:
        wait_for(lambda: 229 in self.begun(1))
        self.job.cancel()
        assert self.job.wait(timeout=PATIENCE).state == "cancelled"
        assert self.stands_at(228) == AT_228
        return self.job

    def stands_at(self, done: int) -> dict[str, int]:
        progress = self.job.info().progress
        assert (progress.done, progress.total) == (done, 313)
        return progress.tallies

    def fails(self) -> Any:
        """Resume it; the error with which it fails."""
        seq = self.checkpoint()
        self.job.resume()
        info = self.job.wait(timeout=PATIENCE)
        assert info.state == "failed"
        assert info.outcome is not None
        assert self.checkpoint() == seq
        assert self.stands_at(228) == AT_228
        return info.outcome.error

    def checkpoint(self) -> int:
        checkpoint = self.job.info().checkpoint
        assert checkpoint is not None
        return checkpoint.seq


@pytest.fixture
def leads() -> Iterator[Import]:
    private = PrivateDaemon()
    (private.home / "leads.py").write_text(IMPORT, encoding="utf-8")
    with private as jk:
        yield Import(private.home, jk)


def test_resume_of_228_of_313_continues_at_229_with_the_same_tallies(leads: Import) -> None:
    """Every lead is begun once, apart from the one that was in work."""
    job = leads.stopped_at_228()
    job.resume()
    wait_for(lambda: leads.begun(2))
    assert leads.stands_at(228) == AT_228
    leads.put("gate")
    assert job.result(timeout=PATIENCE) == WHOLE
    assert leads.begun(1) == list(range(1, 230))
    assert leads.begun(2) == list(range(229, 314))
    assert [item.key for item in job.failed_items()] == ["50", "100", "150", "200", "250", "300"]


def test_a_failure_right_after_resume_leaves_the_old_cursor(leads: Import) -> None:
    """However often; the run that gets further goes on from there."""
    job = leads.stopped_at_228()
    leads.put("broken")
    for _ in range(2):
        assert leads.fails().message == "broken from the start"
    leads.drop("broken")
    leads.put("gate")
    job.resume()
    assert job.result(timeout=PATIENCE) == WHOLE
    assert leads.begun(4) == list(range(229, 314))


def test_input_that_is_gone_or_another_is_a_clear_error_and_the_checkpoint_is_kept(leads: Import) -> None:
    """Once the input is back, the job goes on where it was."""
    job = leads.stopped_at_228()
    whole = (leads.home / "leads").read_text(encoding="utf-8")
    leads.drop("leads")
    gone = leads.fails()
    assert (gone.type, str(leads.home / "leads") in gone.message) == ("FileNotFoundError", True)
    leads.put("leads", "\n".join(whole.split()[:100]))
    short = leads.fails()
    assert short.type == "InputChanged"
    assert "was interrupted after 228 items, but its source now has only 100" in short.message
    leads.put("leads", "\n".join(["0", *whole.split()]))
    moved = leads.fails()
    assert moved.type == "InputChanged"
    assert "item 228 of the batch was '228' when it was finished and is now '227'" in moved.message
    leads.put("leads", whole)
    leads.put("gate")
    job.resume()
    assert job.result(timeout=PATIENCE) == WHOLE
    assert leads.begun(5) == list(range(229, 314))


def test_failed_items_move_to_their_new_outcome_and_nothing_else_is_run(leads: Import) -> None:
    """Also of a job that has succeeded; what is left over stays on record."""
    leads.put("gate")
    assert leads.job.result(timeout=PATIENCE) == WHOLE
    leads.put("mended")
    leads.job.resume(failed_items=True)
    assert leads.job.result(timeout=PATIENCE) == {"added": 209, "updated": 104}
    assert leads.begun(2) == [50, 100, 150, 200, 250, 300]
    assert list(leads.job.failed_items()) == []
    assert leads.job.info().progress.failed_items == 0
    with pytest.raises(jobkeep.ActionRefused, match="no item has failed|no failed items"):
        leads.job.resume(failed_items=True)


def test_a_failed_job_is_retried_with_growing_pauses_and_then_resumed_with_a_fresh_budget(leads: Import) -> None:
    """Each pause is at least three quarters of what --backoff says; the job tells when the next one is due."""
    leads.put("broken")
    folder = str(leads.home)
    with jobkeep.connect_blocking(str(leads.home / "run/socket")) as jk:
        job = jk.call("leads:lead", {"folder": folder}, cwd=folder, retries=2, backoff="0.4s")
        seen = [job.info()]
        wait_for(lambda: seen.append(job.info()) or seen[-1].state == "scheduled")  # type: ignore[func-returns-value]
        assert seen[-1].due_at is not None
        assert job.wait(timeout=PATIENCE).state == "failed"
        runs = job.info().runs
        pauses = [later.started_at - earlier.ended_at for earlier, later in zip(runs, runs[1:], strict=False)]
        assert len(runs) == 3
        assert pauses[0].total_seconds() >= 0.3
        assert pauses[1].total_seconds() >= 0.6
        job.resume()
        assert job.wait(timeout=PATIENCE).state == "failed"
        assert len(job.info().runs) == 6
