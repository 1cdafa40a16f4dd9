"""`jobkeep daemon backup` and `restore`: what a backup brings back, what stays forgotten, and what is refused."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon
from jobkeepd.commands.restore import JUMP, meant

REFUSED = """if True:
    import pathlib, sys
    from jobkeepd import instance
    from jobkeepd.commands import restore
    home, *names = sys.argv[1:]
    for name in names:
        try:
            restore.restore(pathlib.Path(home, name), pathlib.Path(home, "state"), pathlib.Path(home, "run"), "boot")
        except Exception as error:
            print(type(error).__name__, error)
"""


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="4")
    with private:
        yield private


def cli(daemon: PrivateDaemon, *words: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBKEEP_")}
    environment = {
        **inherited, "JOBKEEP_SOCKET": str(daemon.socket), "JOBKEEP_AUTOSTART": "0", "JOBKEEP_CONFIG": "",
        "JOBKEEP_DAEMON_SOCKET": str(daemon.socket), "JOBKEEP_DAEMON_STATE_DIR": str(daemon.home / "state"),
        "JOBKEEP_DAEMON_RUNTIME_DIR": str(daemon.home / "run"),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "jobkeep.cli", "daemon", *words],
        env=environment, cwd=daemon.home, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_backup_brings_back_what_was_and_time_goes_on(daemon: PrivateDaemon) -> None:
    """What ran in the backup and lives is found again; what came later is forgotten; fences and tokens only rise."""
    jk = jobkeep.connect_blocking(str(daemon.socket), autostart=False)
    done, gate = jk.run(["true"]), daemon.home / "gate"
    assert done.result() == 0
    with jk.lock("crm") as lease:
        token = lease.token
    running = jk.run(["sh", "-c", f"echo up; until [ -e {gate} ]; do sleep 0.05; done; exit 7"])
    next(iter(running.logs(follow=True)))
    before = jk.status()
    assert (jk.check().problems, cli(daemon, "check").returncode) == ([], 0)

    made = cli(daemon, "backup", "b.sqlite", "--json")
    assert (made.returncode, json.loads(made.stdout)["jobs"]) == (0, 2)
    refused = cli(daemon, "backup", "b.sqlite")
    assert (refused.returncode, "is there already" in refused.stderr) == (2, True)

    later = jk.run(["true"])
    assert later.result() == 0
    for _ in range(3):
        with jk.lock("crm") as lease:
            assert lease.token > token
    assert (busy := cli(daemon, "restore", "b.sqlite")).returncode == 5, busy
    jk.close()
    daemon.kill()

    restored = cli(daemon, "restore", "b.sqlite")
    assert (restored.returncode, restored.stderr) == (0, "")
    assert restored.stdout.startswith("restored: 2 jobs, as of ")
    assert ", 1 of them under way then\n" in restored.stdout
    kept = daemon.home / "state" / "jobs.sqlite.before-restore-1"
    with closing(sqlite3.connect(kept)) as conn:
        assert conn.execute("SELECT count(*) FROM job").fetchone() == (3,)

    with daemon.start() as jk:
        assert jk.job(done.id).info().state == "succeeded"
        with pytest.raises(jobkeep.NotFound):
            jk.job(later.id).info()
        now = jk.status()
        assert now.database_epoch != before.database_epoch
        assert now.epoch > before.epoch + JUMP
        with jk.lock("crm") as lease:
            assert lease.token > token + JUMP
        gate.touch()
        with pytest.raises(jobkeep.JobFailed):
            jk.job(running.id).result(timeout="120s")
        runs = jk.job(running.id).info().runs
        assert [(run.number, run.outcome) for run in runs] == [(1, "failed")]
        assert jk.job(running.id).info().outcome.exit_code == 7


def test_what_cannot_take_its_place_changes_nothing(daemon: PrivateDaemon) -> None:
    """No database, a damaged one, a newer one, and one that does not know what still runs: and it says so."""
    home, gate = daemon.home, daemon.home / "gate"
    jk = jobkeep.connect_blocking(str(daemon.socket), autostart=False)
    jk.backup(home / "old.sqlite")
    newer = home / "newer.sqlite"
    jk.backup(newer)
    with closing(sqlite3.connect(newer)) as conn:
        conn.execute("PRAGMA user_version = 999")
    (home / "text").write_text("no database" * 1000)
    (home / "torn").write_bytes(newer.read_bytes()[:20_000])
    (home / "empty").touch()
    job = jk.run(["sh", "-c", f"echo up; until [ -e {gate} ]; do sleep 0.05; done"])
    next(iter(job.logs(follow=True)))
    jk.close()
    daemon.stop()
    database = home / "state" / "jobs.sqlite"
    was = database.read_bytes()

    reasons = {"newer.sqlite": "newer jobkeep", "text": "database", "torn": "database", "empty": "no backup",
               "none": "no such file"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, str(home), *reasons], capture_output=True, text=True, timeout=120, check=True
    )
    for name, said in zip(reasons, done.stdout.splitlines(), strict=True):
        assert said.startswith(f"Corrupt {home}/{name}")
        assert reasons[name] in said
    alive = cli(daemon, "restore", "old.sqlite")
    assert (alive.returncode, f"still alive: {job.id}.1" in alive.stderr) == (5, True)
    assert database.read_bytes() == was
    assert not list(database.parent.glob("*restor*"))

    with daemon.start() as jk:  # as it was: the job is adopted
        gate.touch()
        assert jk.job(job.id).result(timeout="120s") == 0
    daemon.stop()
    assert cli(daemon, "restore", "old.sqlite").returncode == 0  # nothing of the job is left that could collide


def test_the_database_of_the_host_is_found_by_those_who_may_restore_it(tmp_path: Path) -> None:
    """Where nobody says which is meant, and there is no own one: root's shell knows nothing of the unit's."""
    (tmp_path / "host").mkdir()
    unit = {"STATE_DIRECTORY": str(tmp_path / "host"), "CONFIGURATION_DIRECTORY": str(tmp_path / "etc")}
    shell = {"XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_RUNTIME_DIR": "/run/u"}
    assert meant(shell, unit, None) == {**shell, **unit}

    for said in ({"STATE_DIRECTORY": "/a"}, {"JOBKEEP_DAEMON_STATE_DIR": "/a"}):
        assert meant({**shell, **said}, unit, None) == {**shell, **said}
    assert meant(shell, {"STATE_DIRECTORY": str(tmp_path / "none")}, None) == shell
    (tmp_path / "c.toml").write_text(f'[daemon]\nstate_dir = "{tmp_path}/jobkeep"\n')
    assert meant(shell, unit, tmp_path / "c.toml") == {**shell, **unit}
    (tmp_path / "jobkeep").mkdir()
    (tmp_path / "jobkeep/jobs.sqlite").touch()
    assert meant(shell, unit, None) == shell
