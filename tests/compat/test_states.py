"""State directories of earlier releases: today's daemon opens, migrates and lists them, and goes on from there."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import jobkeep
from crash.judges import slay_all
from jobkeep.testing import PrivateDaemon
from jobkeepd.store.schema import MIGRATIONS

from . import states
from .scenario import PYTHON
from .transcript import Names, covers, exchange
from .versions import SCHEMAS

RECORDED = sorted((path for path in SCHEMAS.iterdir() if path.is_dir()), key=lambda path: int(path.name))
PATIENCE = "60s"


@pytest.fixture(params=RECORDED, ids=lambda path: f"schema {path.name}")
def recorded(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


@pytest.fixture
def daemon(recorded: Path) -> Iterator[PrivateDaemon]:
    """On what was left behind: however long ago that was."""
    private = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="1", JOBKEEP_RETENTION_KEEP_FOR="0")
    states.restore(recorded, private)
    try:
        yield private
    finally:
        private.kill()
        slay_all(private.home)
        shutil.rmtree(private.home)


@pytest.fixture
def jobs(recorded: Path) -> dict[str, str]:
    """Ids by names."""
    found = json.loads((recorded / "jobs.json").read_bytes())
    assert isinstance(found, dict)
    return found


def test_every_job_is_there_as_it_was(recorded: Path, daemon: PrivateDaemon, jobs: dict[str, str]) -> None:
    """States, runs, progress, failed items, history, results from the spool: all that the release itself had shown."""
    daemon.start().close()
    states.wait_until(str(daemon.socket), jobs["running_too"], "running", 2)
    names = Names(daemon.home, PYTHON)
    for line in (recorded / "seen.jsonl").read_text(encoding="utf-8").splitlines():
        step = json.loads(line)
        replies = exchange(daemon.socket, step["call"])
        problem = covers(replies, step["replies"], names)
        assert problem is None, f"{step['call']}: {problem}\n{replies}"


def test_an_older_database_is_migrated_after_a_backup(recorded: Path, daemon: PrivateDaemon) -> None:
    """The newest is left as it is."""
    daemon.start().close()
    daemon.kill()
    state = daemon.home / "state"
    with closing(sqlite3.connect(state / states.DATABASE)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        schema = described(database)
    backup = state / f"{states.DATABASE}.schema-{recorded.name}"
    assert backup.exists() == (int(recorded.name) < len(MIGRATIONS))
    with closing(sqlite3.connect(":memory:")) as fresh:
        for migration in MIGRATIONS:
            for statement in migration:
                fresh.execute(statement)
        assert schema == described(fresh)


def described(database: sqlite3.Connection) -> dict[str, Any]:
    """Its tables, indexes and views."""
    rows = database.execute("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'").fetchall()
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_what_had_not_ended_goes_on(daemon: PrivateDaemon, jobs: dict[str, str]) -> None:
    """A queued command runs when there is a place, and a batch continues behind its checkpoint, with its tallies."""
    with daemon.start() as jk:
        states.wait_until(str(daemon.socket), jobs["running_too"], "running", 2)
        jk.job(jobs["running_too"]).cancel(force=True)
        assert jk.job(jobs["queued"]).wait(timeout=PATIENCE).state == "succeeded"
        assert list(jk.job(jobs["queued"]).logs()) == ["at last"]

        (daemon.home / "gate").touch()
        tallies = {"even": 20, "odd": 16, "failed": 4}
        assert resumed(jk, jobs["cancelled_batch"]) == tallies
        done = [int(line) for line in (daemon.home / "cancelled_batch.items").read_text().split()]
        assert done == list(range(done[0], 40))
        assert 17 - 5 < done[0] <= 17
        assert resumed(jk, jobs["failed_at_the_end"]) == tallies
        assert not (daemon.home / "failed_at_the_end.items").exists()


def test_items_that_failed_can_be_run_again(daemon: PrivateDaemon, jobs: dict[str, str]) -> None:
    """Just those."""
    with daemon.start() as jk:
        states.wait_until(str(daemon.socket), jobs["running_too"], "running", 2)
        jk.job(jobs["running_too"]).cancel(force=True)
        batch = jk.job(jobs["with_failed_items"])
        batch.resume(failed_items=True)
        assert batch.result(timeout=PATIENCE) == {"even": 10, "odd": 8, "failed": 2}
        assert (daemon.home / "with_failed_items.items").read_text().split() == ["3", "13"]


def resumed(jk: jobkeep.BlockingClient, job: str) -> Any:
    """What it returns in the end."""
    jk.job(job).resume()
    return jk.job(job).result(timeout=PATIENCE)
