"""Secrets through a whole life: jobs get them, also from the next daemon, and nothing that is to be seen has them."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec import json

import jobkeep
from crash.judges import processes_of
from jobkeep.testing import PrivateDaemon

from .conftest import command_line

PATIENCE = "60s"
DATABASE = {"jobs.sqlite", "jobs.sqlite-wal"}
TOKEN, PIN = "tok-5f0c1b7a9e", "pin-8d22e47c31"
JOBS = """
import os
from hashlib import sha256

def use(pin: str, path: str) -> list:
    return [sha256(pin.encode()).hexdigest(), sha256(os.environ["TOKEN"].encode()).hexdigest(), path, os.getpid()]

def other() -> int:
    assert "TOKEN" not in os.environ
    return os.getpid()
"""
SCRIPT = 'printf %s "$TOKEN" | sha256sum; touch begun; until [ -e gate ]; do sleep 0.05; done'


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def holders(home: Path) -> set[str]:
    """The files below the directories of the daemon, and its log, that have a secret in them."""
    found = set()
    for path in (*below(home / "state"), *below(home / "run"), home / "daemon.log"):
        with suppress(FileNotFoundError):
            if stat.S_ISREG(path.lstat().st_mode) and any(word in path.read_bytes() for word in words()):
                found.add(path.name)
    return found


def below(folder: Path) -> list[Path]:
    """The folder and all in it; what goes while we look is left out."""
    return [Path(where, name) for where, folders, files in os.walk(folder) for name in (".", *folders, *files)]


def words() -> tuple[bytes, bytes]:
    return TOKEN.encode(), PIN.encode()


def open_to_others(home: Path) -> list[str]:
    """What of the state somebody else could read."""
    found = []
    for path in below(home / "state"):
        with suppress(FileNotFoundError):
            if stat.S_IMODE(path.lstat().st_mode) & 0o077:
                found.append(str(path))
    return found


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="1", JOBKEEP_DAEMON_LOG_LEVEL="debug")
    (private.home / "hidden.py").write_text(JOBS, encoding="utf-8")
    (private.home / "env").write_text(f"# of the API\nTOKEN='{TOKEN}'\n", encoding="utf-8")
    with private:
        yield private


def test_secrets_reach_their_jobs_and_nobody_else(daemon: PrivateDaemon) -> None:
    """A variable and an argument, of a job that runs and of one that waits while the daemon is killed."""
    home, gate = daemon.home, daemon.home / "gate"
    said = command_line(daemon.socket, home, "run", "-d", "--env-file", "env", "--", "sh", "-c", SCRIPT)
    first = said.stdout.strip()
    with jobkeep.connect_blocking(str(daemon.socket), autostart=False) as jk:
        options = {"cwd": home, "env": {"TOKEN": TOKEN}, "secrets": ["TOKEN", "pin"]}
        second = jk.call("hidden:use", {"pin": PIN, "path": "a.csv"}, **options).id  # type: ignore[arg-type]
        wait_for(home / "begun")
        assert not any(word.decode() in line for word in words() for line in processes_of(home).values())
        daemon.kill()
        assert set() < holders(home) <= DATABASE
        daemon.start().close()
        gate.touch()
        assert jk.job(first).wait(timeout=PATIENCE).state == "succeeded"
        assert [line.split()[0] for line in jk.job(first).logs()] == [digest(TOKEN)]
        *got, pid = jk.job(second).result(timeout=PATIENCE)
        assert got == [digest(PIN), digest(TOKEN), "a.csv"]
        assert jk.call("hidden:other", cwd=home).result(timeout=PATIENCE) != pid
        shown = [json.encode(jk.job(id).info()) + repr(jk.job(id).explain()).encode() for id in (first, second)]
        shown += [json.encode(list(jk.events(after=0))), *tables(jk)]
        shown += [command_line(daemon.socket, home, "show", id).stdout.encode() for id in (first, second)]
    assert b"TOKEN, pin" in shown[-1]
    assert not any(word in text for word in words() for text in shown)
    assert set() < holders(home) <= DATABASE
    assert open_to_others(home) == []


def tables(jk: jobkeep.BlockingClient) -> list[bytes]:
    """All that SQL shows of what is in the database."""
    found = []
    for name, *_ in jk.sql("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')").rows:
        try:
            found.append(json.encode(jk.sql(f'SELECT * FROM "{name}"').rows))
        except jobkeep.JobkeepError:
            continue
    assert len(found) > 5
    return found


def wait_for(path: Path) -> None:
    wait_until(path.exists)


def wait_until(true: Callable[[], bool]) -> None:
    """The test's own time limit ends it."""
    while not true():
        time.sleep(0.01)


READER = """
import os, time
from hashlib import sha256

def read(gate: str) -> list:
    folder = os.environ["CREDENTIALS_DIRECTORY"]
    while not os.path.exists(gate):
        time.sleep(0.01)
    return [folder, {name: sha256(open(f"{folder}/{name}", "rb").read()).hexdigest() for name in os.listdir(folder)}]
"""
COPY = """
ls -l "$CREDENTIALS_DIRECTORY"; touch reads
until [ -e gate ]; do sleep 0.05; done
cat "$CREDENTIALS_DIRECTORY/api" > copy
"""


def test_credentials_are_files_for_the_time_of_a_run(tmp_path: Path) -> None:
    """Of commands and functions; a run that is adopted keeps them to its end. Without, a job fails and says why."""
    (tmp_path / "api").write_text(PIN)
    daemon = PrivateDaemon(CREDENTIALS_DIRECTORY=str(tmp_path), JOBKEEP_QUEUES_DEFAULT_LIMIT="3")
    home, gate = daemon.home, daemon.home / "gate"
    (home / "reader.py").write_text(READER, encoding="utf-8")
    with daemon as jk:
        first = jk.run(["sh", "-c", COPY], cwd=home, credentials=["api"])
        second = jk.call("reader:read", {"gate": str(gate)}, cwd=home, credentials="api")
        third = jk.run(["true"], cwd=home, credentials=["nosuch"]).wait(timeout=PATIENCE)
        assert third.outcome is not None
        assert "no credential nosuch; there is api" in str(third.outcome.reason)
        wait_for(home / "reads")
        wait_until(lambda: jk.job(second.id).info().state == "running")
        daemon.kill()
        daemon.start().close()
        folders = home / "run" / "credentials"
        assert {path.name for path in folders.iterdir()} == {first.id, second.id}
        gate.touch()
        assert first.wait(timeout=PATIENCE).state == "succeeded"
        assert (home / "copy").read_text() == PIN
        assert list(first.logs())[-1].startswith("-r--------")
        assert second.result(timeout=PATIENCE) == [str(folders / second.id), {"api": digest(PIN)}]
        assert list(folders.iterdir()) == []
        shown = json.encode([jk.job(job.id).info() for job in (first, second)]) + json.encode(list(jk.events(after=0)))
        assert PIN.encode() not in shown
        assert holders(home) == set()
