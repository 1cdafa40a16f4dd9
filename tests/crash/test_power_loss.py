"""The host loses its power while submits and checkpoints are acknowledged: a disk that forgets what was not synced."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import jobkeep
from jobkeep.blocking.channel import BlockingChannel
from jobkeep.blocking.client import BlockingClient
from jobkeep.testing import PrivateDaemon
from jobkeepd import instance

from .disks import ImageDisk
from .judges import slay_all

JOBS = """
def keep(ctx, acks: str, until: str):
    '''Checkpoint after checkpoint; each is noted elsewhere once it is acknowledged.'''
    import os
    number = ctx.restored or 0
    with open(acks, "a") as file:
        print("begins at", number, file=file, flush=True)
        while not os.path.exists(until):
            number += 1
            ctx.checkpoint(number)
            print(number, file=file, flush=True)
    return number
"""
CARELESS = """
try:
    from jobkeepd.store import opening
except ImportError:
    pass
else:
    opening.PRAGMAS = tuple((name, 1 if name == "synchronous" else value) for name, value in opening.PRAGMAS)
"""
ANOTHER_BOOT = "00000000-0000-4000-8000-000000000000\n"
PATIENCE = 60.0


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.005)


class Clients:
    """Threads that submit until nobody answers, and what was acknowledged to them: request -> job."""

    def __init__(self, socket: Path, home: Path) -> None:
        self.acknowledged: dict[str, str] = {}
        self._socket, self._home = str(socket), str(home)
        self._threads = [threading.Thread(target=self._submit, args=(name,)) for name in "abc"]
        for thread in self._threads:
            thread.start()

    def _submit(self, name: str) -> None:
        with (
            contextlib.suppress(jobkeep.DaemonUnreachable, jobkeep.OutcomeUnknown),
            BlockingClient(BlockingChannel(self._socket, False, restart_s=0)) as jk,
        ):
            for number in range(1_000_000):
                request = f"{name}{number}"
                job = jk.run(["true"], queue="later", cwd=self._home, request_id=request)
                self.acknowledged[request] = job.id

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)


class Host:
    """A daemon whose state directory is on a disk that can lose its power."""

    def __init__(self, disk: ImageDisk, number: int, **settings: str) -> None:
        self.home = home = disk.at.parent
        self.disk = disk
        self.state = disk.at / f"new{number}" / "state"  # made by the daemon
        self.acks, self.until = home / f"acks{number}", home / f"until{number}"
        settings |= {"JOBKEEP_DAEMON_STATE_DIR": str(self.state), "JOBKEEP_QUEUES_LATER_LIMIT": "1"}
        self.daemon = PrivateDaemon(home, **settings)
        (home / "jobs.py").write_text(JOBS, encoding="utf-8")

    def noted(self) -> list[str]:
        """The lines of the job that checkpoints: none before it begins."""
        return self.acks.read_text().splitlines() if self.acks.exists() else []

    def checkpoints(self) -> list[int]:
        """Those that were acknowledged."""
        return [int(line) for line in self.noted() if line.isdigit()]

    def begun(self) -> list[int]:
        """The checkpoint that each of its runs began at: empty if the power went before its first."""
        return [int(line.split()[-1]) for line in self.noted() if line.startswith("begins at")]

    def lose_power(self, jobs: int, checkpoints: int, alone: bool) -> tuple[dict[str, str], str, int]:
        """Once so much was acknowledged; `alone`: some more while there is no daemon. -> what was, and to which job."""
        with self.daemon.start() as jk:
            arguments = {"acks": str(self.acks), "until": str(self.until)}
            keeper = jk.call("jobs:keep", arguments, cwd=str(self.home), request_id="keeper").id
            blocker = jk.run(["sleep", "600"], queue="later", request_id="blocker").id
        self._secret = (self.state / "secret").read_bytes()
        self.clients = Clients(self.daemon.socket, self.home)
        until(lambda: len(self.clients.acknowledged) >= jobs and len(self.checkpoints()) >= checkpoints)
        if alone:
            self.daemon.kill()
            spooled = len(self.checkpoints()) + checkpoints
            until(lambda: len(self.checkpoints()) >= spooled)
        # What is acknowledged while the power goes is not counted: the call takes its time, and the kernel may say of
        # a sync which it overtakes that it was done. Nobody hears such an answer when the whole host goes.
        known = {**self.clients.acknowledged, "keeper": keeper, "blocker": blocker}
        checkpoint = max(self.checkpoints(), default=0)
        self.disk.cut_power()
        self.daemon.kill()
        self.clients.join()
        slay_all(self.home)
        return known, keeper, checkpoint

    def power_on(self) -> None:
        """Nothing is left of the runtime directory, which is memory, and the kernel has another boot id."""
        self.disk.unplug()
        self.disk.plug_in()
        shutil.rmtree(self.home / "run")
        assert (self.state / "secret").read_bytes() == self._secret
        assert (self.state / "boot_id").read_text().strip() == instance.boot_id()
        (self.state / "boot_id").write_text(ANOTHER_BOOT)

    def missing(self, known: Collection[str]) -> set[str]:
        """Jobs that are not in the database, which is looked at before any daemon has touched it. It is whole."""
        with tempfile.TemporaryDirectory() as copy:
            for name in ("jobs.sqlite", "jobs.sqlite-wal"):
                shutil.copy(self.state / name, copy)
            with closing(sqlite3.connect(Path(copy) / "jobs.sqlite")) as conn:
                assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                return set(known) - {id for (id,) in conn.execute("SELECT id FROM job")}

    def goes_on(self, known: dict[str, str], keeper: str, checkpoint: int) -> None:
        """The next daemon has all of it: a request asked again is the same job, a function goes on where it was."""
        before = len(self.begun())
        with self.daemon.start() as jk:
            assert set(known.values()) <= {job.id for job in jk.jobs()}
            for request, id in known.items():
                if request[1:].isdigit() and int(request[1:]) % 10 == 0:
                    assert jk.run(["true"], queue="later", cwd=str(self.home), request_id=request).id == id
            until(lambda: len(self.begun()) > before)
            assert (begun := self.begun()[-1]) >= checkpoint
            self.until.touch()
            assert jk.job(keeper).result(timeout=PATIENCE) >= begun
        self.daemon.stop()
        slay_all(self.home)
        shutil.rmtree(self.state)  # the disk is small


@pytest.fixture
def disk() -> Iterator[ImageDisk]:
    home = Path(tempfile.mkdtemp(prefix="jk-"))
    disk = ImageDisk(home / "image", home / "disk", 256)
    try:
        with disk.plugged_in():
            try:
                yield disk
            finally:
                slay_all(home)  # whoever is left of a test that failed keeps the disk busy
    finally:
        shutil.rmtree(home)
    until(lambda: str(home) not in subprocess.run(["losetup", "-a"], capture_output=True, text=True).stdout)


def lose_power(disk: ImageDisk, rounds: int) -> None:
    """Each on a state directory that was not there before; each second one without a daemon in the end."""
    draw = random.Random(20)
    for number in range(rounds):
        host = Host(disk, number)
        if number % 5 == 4:
            known, keeper, checkpoint = host.lose_power(0, 0, alone=False)  # right after the first submit
        else:
            jobs, checkpoints = draw.randint(1, 200), draw.randint(1, 40)
            known, keeper, checkpoint = host.lose_power(jobs, checkpoints, alone=number % 2 == 1)
        host.power_on()
        assert host.missing(known.values()) == set()
        host.goes_on(known, keeper, checkpoint)


def test_what_was_acknowledged_survives_a_loss_of_power(disk: ImageDisk) -> None:
    """Submits and checkpoints, stored or spooled, on a state directory that is new."""
    lose_power(disk, 2)


@pytest.mark.long
def test_what_was_acknowledged_survives_many_losses_of_power(disk: ImageDisk) -> None:
    """As above."""
    lose_power(disk, 30)


def test_a_disk_that_loses_its_power_does_forget(disk: ImageDisk) -> None:
    """The proof that such a test can fail: a daemon that is made not to sync its commits loses some."""
    patches = disk.at.parent / "patches"
    patches.mkdir()
    (patches / "sitecustomize.py").write_text(CARELESS, encoding="utf-8")
    path = os.pathsep.join([str(patches), *filter(None, [os.environ.get("PYTHONPATH")])])
    lost = set()
    for number in range(5):
        host = Host(disk, number, PYTHONPATH=path)
        known, _, _ = host.lose_power(200, 0, alone=False)
        host.power_on()
        lost = host.missing(known.values())
        if lost:
            break
    assert lost
