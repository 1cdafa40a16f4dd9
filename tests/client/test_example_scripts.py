"""The script and the tests of the examples, run as their readers would."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon

EXAMPLES = Path(__file__).resolve().parents[2] / "client/examples"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def daemon() -> Iterator[PrivateDaemon]:
    daemon = PrivateDaemon()
    with daemon:
        yield daemon


def test_the_script_says_how_it_is_called() -> None:
    """Where it is not told which database."""
    words = [sys.executable, str(EXAMPLES / "publish.py")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (1, "usage: python publish.py DATABASE < CATALOGUE\n")


class Publisher:
    """publish.py under way: it gets its lines one by one."""

    def __init__(self, daemon: PrivateDaemon, file: Path) -> None:
        self._file = file
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "publish.py"), str(file)],
            env={**os.environ, "JOBKEEP_SOCKET": str(daemon.socket)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def put(self, words: str) -> None:
        """Until the line is in the table."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        deadline = time.monotonic() + PATIENCE_S
        while words not in [row[0] for row in rows(self._file)]:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> tuple[int, str]:
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out + err


def rows(file: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(file)) as database:
        try:
            return database.execute("SELECT words, token FROM catalogue ORDER BY line").fetchall()
        except sqlite3.OperationalError:
            return []  # it is not made yet


def test_the_script_runs_once_at_a_time_and_goes_on_after_a_kill(daemon: PrivateDaemon, tmp_path: Path) -> None:
    """Who comes second is told who has the lock; the lock of one that is killed is free at once."""
    file = tmp_path / "shop.sqlite"
    first = Publisher(daemon, file)
    first.put("tea")
    ((_, token),) = rows(file)
    second = Publisher(daemon, file)
    code, said = second.end()
    assert code == 75
    assert f"process {first.process.pid}" in said
    first.process.kill()
    assert first.end()[0] == -9
    third = Publisher(daemon, file)
    third.put("coffee")
    assert third.end() == (0, f"1 lines, token {token + 1}\n")
    assert rows(file) == [("coffee", token + 1)]


def test_the_script_writes_nothing_over_a_later_holder(daemon: PrivateDaemon, tmp_path: Path) -> None:
    """Its lock is taken away: whether it hears of that before its next write or by it, the write does not happen."""
    file = tmp_path / "shop.sqlite"
    publisher = Publisher(daemon, file)
    publisher.put("tea")
    with jobkeep.connect_blocking(daemon.socket) as jk:
        token = jk.reset_lock("catalogue", force=True).lock.token
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO catalogue VALUES (2, 'later', ?)", (token,))
    assert publisher.process.stdin is not None
    publisher.process.stdin.write("coffee\n")
    code, said = publisher.end()
    assert (code, said.startswith("stopped: ")) == (1, True), said
    assert rows(file) == [("tea", token - 1), ("later", token)]


def test_the_tests_of_the_example_pass(tmp_path: Path) -> None:
    """As pytest runs them in a folder of a project, where they find the job beside them."""
    for name in ("prices.py", "test_prices.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path, capture_output=True, text=True,
        timeout=200,
    )  # fmt: skip
    assert "6 passed" in ran.stdout, ran.stdout
