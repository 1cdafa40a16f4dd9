"""Thousands of jobs at once, with a daemon that serves others meanwhile, and may be killed."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobkeep.blocking.client import BlockingClient, connect_blocking
from jobkeep.protocol.jobs import MatchingReply
from jobkeep.testing import PrivateDaemon

from .conftest import command_line

WITHIN = 120  # seconds, on a host that has other things to do


@pytest.fixture(scope="module")
def shared() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="2", JOBKEEP_QUEUES_BULK_LIMIT="1")
    with private:
        yield private


def connected(shared: PrivateDaemon) -> BlockingClient:
    return connect_blocking(str(shared.socket), autostart=False)


def states(jk: BlockingClient, queue: str = "bulk") -> dict[str, int]:
    rows = jk.sql(f"SELECT state, count(*) FROM job_status WHERE queue = '{queue}' GROUP BY state").rows
    return {str(state): int(count) for state, count in rows}


def fill(jk: BlockingClient, count: int) -> list[str]:
    jk.pause_queue("bulk")
    return [job.id for job in jk.submit_many({"command": ["true"], "queue": "bulk"}, ({} for _ in range(count)))]


class Sweeping(threading.Thread):
    """A verb over many jobs, beside what the test does."""

    def __init__(self, act: Callable[[], MatchingReply]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self.done: MatchingReply | None = None
        self.start()

    def run(self) -> None:
        self.done = self._act()


def cancel_beside_others(jk: BlockingClient, count: int) -> None:
    """Submits and looks are answered all the while: between two pages at least."""
    ids = fill(jk, count)
    sweeping = Sweeping(lambda: jk.cancel_matching(queue="bulk", reason="enough"))
    answered, seen = 0, Counter[str]()
    while sweeping.is_alive():
        job = jk.run(["true"], name="beside")
        seen[jk.job(ids[0]).info().state] += 1
        answered += job.info().name == "beside"
    assert sweeping.done is not None
    assert sweeping.done.ids == ids[::-1]
    assert sweeping.done.states == {"cancelled": count}
    assert states(jk) == {"cancelled": count}
    assert answered >= count / 200 / 2  # one a page, but for a host that hardly lets us run


def test_cancelling_thousands_keeps_nobody_waiting(shared: PrivateDaemon) -> None:
    """A submit and a look are answered between any two pages; and afterwards they are resumed, and removed."""
    count = 2000
    with connected(shared) as jk:
        cancel_beside_others(jk, count)
        assert jk.resume_matching(queue="bulk", dry_run=True).states == {"cancelled": count}
        assert jk.resume_matching(queue="bulk").states == {"queued": count}
        assert jk.cancel_matching(queue="bulk").states == {"cancelled": count}
        assert jk.remove_matching(queue="bulk").states == {"removed": count}
        assert states(jk) == {}


@pytest.mark.long
def test_cancelling_20_000_keeps_nobody_waiting(shared: PrivateDaemon) -> None:
    """As above, with ten times as many."""
    with connected(shared) as jk:
        cancel_beside_others(jk, 20_000)
        assert jk.remove_matching(queue="bulk").states == {"removed": 20_000}


def test_a_sweep_goes_on_after_the_daemon_was_killed(shared: PrivateDaemon) -> None:
    """The client asks the next daemon for the page whose answer was lost; each job is cancelled once."""
    count = 1500
    with connected(shared) as jk:
        ids = fill(jk, count)
        sweeping = Sweeping(lambda: jk.cancel_matching(queue="bulk"))
        while states(jk).get("cancelled", 0) < 400:
            pass
        shared.kill()
        shared.start().close()
        sweeping.join(WITHIN)
        assert sweeping.done is not None
        assert states(jk) == {"cancelled": count}
        assert set(sweeping.done.ids) <= set(ids)
        # the jobs of one page may have been cancelled without our hearing of it
        assert len(sweeping.done.ids) >= count - 200
        told = Counter(event.job for event in jk.events(after=0) if event.kind == "cancelled")
        assert {id: told[id] for id in ids} == dict.fromkeys(ids, 1)
        jk.remove_matching(queue="bulk")


def test_removed_jobs_leave_no_output(shared: PrivateDaemon) -> None:
    """Of those that were removed, and of nobody else; with a file of specs from beginning to end."""
    with connected(shared) as jk:
        jk.resume_queue("bulk")
        file = shared.home / "jobs.ndjson"
        file.write_text("".join(json.dumps({"command": ["echo", str(n)], "queue": "bulk"}) + "\n" for n in range(30)))
        submitted = command_line(shared.socket, shared.home, "run", "--from-file", str(file), "-q")
        ids = submitted.stdout.split()
        kept = jk.run(["echo", "kept"])
        assert [job.state for job in jk.wait([*ids, kept.id], timeout=WITHIN)] == ["succeeded"] * 31
        runs = Path(jk.status().state_dir) / "logs" / "runs"
        assert {path.name.partition(".")[0] for path in runs.iterdir()} >= {*ids, kept.id}
        assert b"".join(chunk.data for chunk in jk.job(ids[7]).logs(raw=True)) == b"7\n"
        removed = jk.remove_matching(queue="bulk", state="succeeded")
        assert sorted(removed.ids) == sorted(ids)
        left = {path.name.partition(".")[0] for path in runs.iterdir()}
        assert (left & set(ids), kept.id in left) == (set(), True)
