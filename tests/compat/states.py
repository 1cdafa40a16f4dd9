"""A state directory as a release leaves it when all is killed at once: jobs in every state, results in the spool."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from compat.scenario import PYTHON, wait_until
from crash.judges import slay_all
from jobkeep.testing import PrivateDaemon

JOBS = '''
import os

async def batch(ctx, log: str, gate: str, number: int = 40, hold_at: int = 17, fail: bool = False):
    """Each item writes a line; one of them waits for the gate."""
    async def one(item: int) -> str:
        while item == hold_at and not os.path.exists(gate):
            await ctx.sleep(0.01)
        with open(log, "a") as file:
            file.write(f"{item}\\n")
        if item % 10 == 3:
            raise ValueError(f"item {item} is bad")
        return "even" if item % 2 == 0 else "odd"
    tallies = (await ctx.for_each(range(number), one, key=str, every=5)).tallies
    if fail and not os.path.exists(gate):
        raise RuntimeError("not yet")
    return tallies
'''
LIMIT = "4"
DATABASE = "jobs.sqlite"
PRAGMAS = ("application_id", "user_version")


def left_behind(daemon: PrivateDaemon) -> dict[str, str]:
    """Make jobs of every sort, then kill everything. The ids by what the jobs are."""
    home = daemon.home
    (home / "jobs.py").write_text(JOBS, encoding="utf-8")
    jobs: dict[str, str] = {}
    with daemon.start() as jk:
        socket = str(daemon.socket)

        def command(name: str, *argv: str, **options: Any) -> str:
            jobs[name] = jk.run(list(argv), name=name, cwd=str(home), **options).id
            return jobs[name]

        def batch(name: str, **arguments: Any) -> str:
            given = {"log": f"{home}/{name}.items", "gate": f"{home}/gate", **arguments}
            jobs[name] = jk.call("jobs:batch", given, name=name, cwd=str(home), python=PYTHON).id
            return jobs[name]

        wait_until(
            socket, command("succeeded", "sh", "-c", "echo out; echo err >&2", labels={"team": "a"}), "succeeded"
        )
        wait_until(socket, command("failed", "sh", "-c", "exit 3", key="nightly", priority=5), "failed")
        wait_until(socket, command("scheduled", "false", retries=1, backoff="365d"), "scheduled")
        wait_until(socket, batch("with_failed_items", number=20, hold_at=-1), "succeeded")
        wait_until(socket, batch("failed_at_the_end", hold_at=-1, fail=True), "failed")
        batch("cancelled_batch")
        has_done(home / "cancelled_batch.items", 17)
        jk.job(jobs["cancelled_batch"]).cancel()
        wait_until(socket, jobs["cancelled_batch"], "cancelled")
        batch("finished_alone")
        has_done(home / "finished_alone.items", 17)
        wait_until(socket, command("running", "sleep", "600"), "running")
        wait_until(
            socket, command("cancelling", "sh", "-c", "trap '' TERM; while :; do sleep 1; done", grace="1h"), "running"
        )
        jk.job(jobs["cancelling"]).cancel()
        wait_until(socket, jobs["cancelling"], "cancelling")
        wait_until(socket, command("running_too", "sleep", "600", on_lost="resume"), "running")
        wait_until(socket, command("queued", "sh", "-c", "echo at last"), "queued")
    daemon.kill()
    (home / "gate").touch()
    until(lambda: list((home / "state/spool").glob("*.finish")))
    (home / "gate").unlink()
    slay_all(home)
    return jobs


def has_done(items: Path, count: int) -> None:
    until(lambda: items.exists() and len(items.read_text().split()) == count)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def save(daemon: PrivateDaemon, folder: Path) -> None:
    """Its database as SQL, and its spool: with @HOME@ and @PYTHON@ for what differs elsewhere."""
    names = {str(daemon.home): "@HOME@", PYTHON: "@PYTHON@"}
    with closing(sqlite3.connect(daemon.home / "state" / DATABASE)) as database:
        pragmas = [f"PRAGMA {name} = {database.execute(f'PRAGMA {name}').fetchone()[0]};" for name in PRAGMAS]
        lines = [renamed(line, names) for line in database.iterdump()]
    (folder / "database.sql").write_text("\n".join([*lines, *pragmas]) + "\n", encoding="utf-8")
    (folder / "spool").mkdir(exist_ok=True)
    for path in (daemon.home / "state/spool").iterdir():
        (folder / "spool" / path.name).write_text(renamed(path.read_text(), names) + "\n", encoding="utf-8")


def looks(jobs: dict[str, str]) -> list[dict[str, Any]]:
    """Calls that show what there is of the jobs."""
    jobs_calls = [("Get", {"id": id}) for id in jobs.values()]
    jobs_calls += [("FailedItems", {"id": jobs[name]}) for name in ("with_failed_items", "cancelled_batch")]
    jobs_calls += [("History", {"id": jobs[name]}) for name in ("succeeded", "cancelled_batch", "running_too")]
    jobs_calls += [
        ("Result", {"id": jobs["finished_alone"]}),
        ("List", {"state": ["failed"]}),
        ("List", {"label": {"team": "a"}}),
    ]
    calls = [{"method": f"org.jobkeep.Jobs.{method}", "parameters": parameters} for method, parameters in jobs_calls]
    query = "SELECT id, name, state, attempt, done, failed_items FROM job_status ORDER BY name"
    return [*calls, {"method": "org.jobkeep.Admin.Sql", "parameters": {"query": query}}]


def restore(folder: Path, daemon: PrivateDaemon) -> None:
    """As if it had been left behind in this daemon's home, just now: what was to be due is still to be."""
    names = {"@HOME@": str(daemon.home), "@PYTHON@": PYTHON}
    (daemon.home / "jobs.py").write_text(JOBS, encoding="utf-8")
    state = daemon.home / "state"
    for path in (state, state / "spool"):
        path.mkdir(mode=0o700)
    with closing(sqlite3.connect(state / DATABASE)) as database:
        database.executescript(renamed((folder / "database.sql").read_text(encoding="utf-8"), names))
        database.execute("UPDATE job SET due_at = ? WHERE state = 'scheduled'", (time.time() + 3600,))
        database.commit()
    (state / DATABASE).chmod(0o600)
    for path in (folder / "spool").iterdir():
        (state / "spool" / path.name).write_text(renamed(path.read_text(encoding="utf-8"), names), encoding="utf-8")


def renamed(text: str, names: dict[str, str]) -> str:
    """Also within the blobs of an SQL text."""
    text = re.sub(r"X'([0-9A-F]*)'", lambda blob: f"X'{_renamed(bytes.fromhex(blob[1]), names).hex().upper()}'", text)
    return _renamed(text.encode(), names).decode()


def _renamed(data: bytes, names: dict[str, str]) -> bytes:
    for old, new in names.items():
        data = data.replace(old.encode(), new.encode())
    return data
