"""Two hundred runs whose daemon is killed: all of them are adopted or recorded at once, each with its true end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

import jobkeep
from crash.judges import Held, StartLog, parent_of, processes_of, slay_slot
from jobkeep.testing import PrivateDaemon
from jobkeepd.spawner import record

COMMANDS, FUNCTIONS, ENDING = 194, 6, 50
PATIENCE = "120s"
# Each run says who it is, waits at a gate of its own, writes bytes of every kind, and ends in its own way.
BODY = """
echo "$$ $1" > "$0/pid.$1"; printf 'begin %s\\n' "$1"
read -r _ < "$0/gate.$1"
i=0; while [ $i -lt 200 ]; do printf '%s:\\000\\377\\033 %s\\n' "$1" $i; i=$((i + 1)); done; printf 'no end of line' >&2
case $2 in s*) kill -"${2#s}" $$; sleep 60 ;; *) exit "$2" ;; esac
"""
JOBS = '''
import os

async def batch(ctx, home: str, number: int, count: int = 60) -> dict:
    """Waits after ten items, so that there is a checkpoint; a gate lets it go on."""
    async def one(item: int) -> str:
        while item == 10 and not os.path.exists(f"{home}/go.{number}"):
            await ctx.sleep(0.02)
        with open(f"{home}/items.{number}", "a") as file:
            file.write(f"{item}\\\\n")
        return "even" if item % 2 == 0 else "odd"
    return (await ctx.for_each(range(count), one, key=str, every=5)).tallies
'''


def how_it_ends(number: int) -> str:
    """An exit code, or a signal."""
    return f"s{(9, 15, 6, 10)[number // 5 % 4]}" if number % 5 == 4 else str(number % 128)


def status_of(how: str) -> int:
    """As wait(2) says it."""
    return int(how[1:]) if how[0] == "s" else int(how) << 8


def output_of(number: int) -> bytes:
    lines = b"".join(b"%d:\x00\xff\x1b %d\n" % (number, line) for line in range(200))
    return b"begin %d\n" % number + lines


class Run(Struct):
    """A command that waits at its gate."""

    number: int
    job: str
    how: str
    pid: int

class Scene:
    """A daemon, and the runs that it has started."""

    def __init__(self) -> None:
        limit = str(COMMANDS + FUNCTIONS)
        self.daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT=limit, JOBKEEP_DAEMON_LOG_LEVEL="info")
        self.home = self.daemon.home
        self.log = StartLog(self.home / "log")
        (self.home / "jobs.py").write_text(JOBS.replace("\\\\n", "\\n"), encoding="utf-8")
        self.jk: jobkeep.BlockingClient
        self.runs: list[Run] = []
        self.functions: list[str] = []

    def begin(self, commands: int, functions: int = 0) -> None:
        """Start runs, and return once each waits at its gate."""
        for number in range(commands):
            os.mkfifo(self.log.folder / f"gate.{number}")
        items = [{"command": [*self.log.command(BODY), str(number), how_it_ends(number)]} for number in range(commands)]
        jobs = [handle.id for handle in self.jk.submit_many({}, items)] if items else []
        for number in range(functions):
            given = {"home": str(self.home), "number": number}
            self.functions.append(self.jk.call("jobs:batch", given, cwd=str(self.home)).id)
        until(lambda: len(list(self.log.folder.glob("pid.*"))) == commands, "the start of all commands")
        until(lambda: all(len(self.items(number)) == 10 for number in range(functions)), "the checkpoints")
        for number, job in enumerate(jobs):
            until(lambda path=self.log.folder / f"pid.{number}": path.read_text(), "a pid")  # type: ignore[misc]
            pid = int((self.log.folder / f"pid.{number}").read_text().split()[0])
            self.runs.append(Run(number, job, how_it_ends(number), pid))

    def items(self, number: int) -> list[int]:
        path = self.home / f"items.{number}"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def open_gates(self, runs: list[Run]) -> None:
        for run in runs:
            with (self.log.folder / f"gate.{run.number}").open("w") as gate:
                gate.write("go\n")

    def restart(self) -> tuple[jobkeep.BlockingClient, float, float]:
        """A client of the next daemon; seconds from its exec to the answer, and those of its recovery."""
        began = time.monotonic()
        jk = self.daemon.start()
        took = time.monotonic() - began
        said = [json.loads(line) for line in self.daemon.log.splitlines() if '"event": "runs_recovered"' in line]
        return jk, took, said[-1]["seconds"]

    def rows(self) -> dict[str, dict[str, Any]]:
        """Job -> its latest run as it is in the database; the daemon must be gone."""
        conn = sqlite3.connect(self.home / "state" / "jobs.sqlite")
        try:
            return {id: json.loads(run) for id, run in conn.execute("SELECT id, run FROM job WHERE run IS NOT NULL")}
        finally:
            conn.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    with scene.daemon as jk:
        scene.jk = jk
        yield scene
        for pid in processes_of(scene.home):
            held = Held.take(pid, scene.home)
            if held is not None and "jobkeepd" not in held.command and "/spawner/" not in held.command:
                with held:
                    held.send(signal.SIGKILL)


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """It has ended, whether or not its parent has looked."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def stop_slot(leader: int) -> None:
    """Its shim, or its warden, if the run has lasted by now."""
    while True:
        with contextlib.suppress(ProcessLookupError):
            return os.kill(parent_of(leader), signal.SIGSTOP)


def slay_shim(run: Run, home: Path) -> None:
    shim = slay_slot(run.pid, home)
    until(lambda: gone(shim), "the death of a shim")


def test_two_hundred_runs_survive_their_daemon(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """A quarter ends while no daemon is there, a few shims are killed as well; nothing of any of them is lost."""
    scene.begin(COMMANDS, FUNCTIONS)
    scene.daemon.kill()
    ending, living = scene.runs[:ENDING], scene.runs[ENDING:]
    for run in (*ending[:3], *living[:3]):
        slay_shim(run, scene.home)
    began = time.time()
    scene.open_gates(ending)
    for number in range(FUNCTIONS // 2):
        (scene.home / f"go.{number}").touch()
    until(lambda: not any(Path(f"/proc/{run.pid}").exists() for run in ending), "somebody who has seen the ends")
    until(lambda: len(list((scene.home / "state/spool").glob("*.finish"))) == FUNCTIONS // 2, "the results")
    runtime = str(scene.home / "run")
    until(lambda: all(record.read(runtime, f"{run.job}.1", record.EXIT) for run in ending), "the records of the ends")
    over = time.time()
    time.sleep(0.2)  # so that the time of recovery can be told from that of the end

    jk, took, seconds = scene.restart()
    with jk:
        states = jk.status().jobs
        assert states["running"] == len(living) + FUNCTIONS - FUNCTIONS // 2
        assert states["queued"] == states["cancelling"] == 0
        with capsys.disabled():
            print(f"\n200 runs: the daemon answers {took:.2f} s after exec, recovery took {seconds:.2f} s")
        assert seconds < 15  # 2 on a quiet machine
        scene.open_gates(living)
        for number in range(FUNCTIONS):
            (scene.home / f"go.{number}").touch()
        infos = {info.id: info for info in jk.wait([run.job for run in scene.runs], timeout=PATIENCE)}
        for run in scene.runs:
            assert infos[run.job].attempt == 1
            assert kept(scene, run, "stdout") == output_of(run.number)
            assert kept(scene, run, "stderr") == b"no end of line"
        results = [jk.job(job).result(timeout=PATIENCE) for job in scene.functions]
        assert results == [{"even": 30, "odd": 30}] * FUNCTIONS
        assert [jk.job(job).info().attempt for job in scene.functions] == [1] * FUNCTIONS
    scene.daemon.stop()
    rows = scene.rows()
    assert {run.number: rows[run.job]["status"] for run in scene.runs} == {
        run.number: status_of(run.how) for run in scene.runs
    }
    for run in ending:
        assert began <= rows[run.job]["ended_at"] <= over
        assert rows[run.job]["usage"]["max_rss_kib"] > 0
    assert [scene.items(number) for number in range(FUNCTIONS)] == [list(range(60))] * FUNCTIONS
    assert (scene.log.violations(), set(scene.log.starts().values())) == ([], {1})


def kept(scene: Scene, run: Run, stream: str) -> bytes:
    return (scene.home / f"state/logs/runs/{run.job}.1.{stream}").read_bytes()


def test_stopped_shims_and_a_stopped_spawner_add_no_time(scene: Scene) -> None:
    """They are continued: each of their runs is adopted, and its end is written by its shim."""
    scene.begin(40)
    spawner = record.lock_holder(record.spawner_lock(str(scene.home / "run")))
    assert spawner is not None
    scene.daemon.kill()
    stopped = scene.runs[:20]
    for run in stopped:
        stop_slot(run.pid)
    os.kill(spawner, signal.SIGSTOP)
    scene.open_gates(stopped[:10])
    until(lambda: all(gone(run.pid) for run in stopped[:10]), "the ends that no shim saw")
    jk, _, seconds = scene.restart()
    with jk:
        assert seconds < 15  # twenty time-outs of a second each would be more
        scene.open_gates(scene.runs[10:])
        jk.wait([run.job for run in scene.runs], timeout=PATIENCE)
    scene.daemon.stop()
    rows = scene.rows()
    assert {run.number: rows[run.job]["status"] for run in scene.runs} == {
        run.number: status_of(run.how) for run in scene.runs
    }
    assert (scene.log.violations(), set(scene.log.starts().values())) == ([], {1})


def test_one_unreadable_row_keeps_no_daemon_from_starting(scene: Scene) -> None:
    """It is told in the log, its process is left alone; the others are adopted."""
    scene.begin(3)
    scene.daemon.kill()
    conn = sqlite3.connect(scene.home / "state" / "jobs.sqlite", isolation_level=None)
    conn.execute("UPDATE job SET run = '{' WHERE id = ?", (scene.runs[0].job,))
    conn.close()
    jk, _, _ = scene.restart()
    with jk:
        assert {info.id for info in jk.jobs()} == {run.job for run in scene.runs[1:]}
        assert f'"job": "{scene.runs[0].job}"' in scene.daemon.log
        assert '"event": "job_unreadable"' in scene.daemon.log
        scene.open_gates(scene.runs[1:])
        jk.wait([run.job for run in scene.runs[1:]], timeout=PATIENCE)
        assert not gone(scene.runs[0].pid)
        scene.open_gates(scene.runs[:1])
        until(lambda: gone(scene.runs[0].pid), "the end of the run that nobody can read of")
