"""What the kernel says of real processes: one that runs, is stopped, is frozen, or is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from jobkeepd.core.liveness import ProcessState
from jobkeepd.core.model import Identity
from jobkeepd.runner.identity import read_identity
from jobkeepd.runner.process_state import process_state

PATIENCE = 60.0
FREEZERS = {  # how a control group is frozen, and thawed
    "/sys/fs/cgroup/freezer": ("freezer.state", "FROZEN", "THAWED"),
    "/sys/fs/cgroup/unified": ("cgroup.freeze", "1", "0"),
    "/sys/fs/cgroup": ("cgroup.freeze", "1", "0"),
}


@pytest.fixture
def sleeper() -> Iterator[Identity]:
    process = subprocess.Popen(["sleep", "600"])
    who = read_identity(process.pid)
    assert who is not None
    yield who
    process.kill()
    process.wait()


def until(who: Identity, state: ProcessState | None) -> None:
    deadline = time.monotonic() + PATIENCE
    while process_state(who) != state:
        assert time.monotonic() < deadline, f"{process_state(who)}, not {state}"
        time.sleep(0.005)


def test_a_stopped_process_is_told_from_one_that_runs(sleeper: Identity) -> None:
    """One that sleeps runs, as far as this goes."""
    assert process_state(sleeper) == "running"
    os.kill(sleeper.pid, signal.SIGSTOP)
    until(sleeper, "stopped")
    os.kill(sleeper.pid, signal.SIGCONT)
    until(sleeper, "running")


def test_nothing_is_said_of_a_process_that_is_not_the_one_on_record(sleeper: Identity) -> None:
    """It has another start, or was of another boot, or is a zombie, or gone."""
    assert process_state(replace(sleeper, start_ticks=sleeper.start_ticks - 1)) is None
    assert process_state(replace(sleeper, boot_id="another")) is None
    os.kill(sleeper.pid, signal.SIGKILL)
    until(sleeper, None)
    assert process_state(replace(sleeper, pid=4_000_000)) is None


@pytest.mark.parametrize("mount", FREEZERS)
def test_a_frozen_process_is_told_by_its_control_group(sleeper: Identity, mount: str) -> None:
    """In either version of control groups; its state alone would not tell."""
    file, frozen, thawed = FREEZERS[mount]
    group = Path(mount) / f"jobkeep-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made in {mount}: {error.strerror}")
    try:
        if not (group / file).exists():
            pytest.skip(f"{mount} has no {file}")
        (group / "cgroup.procs").write_text(str(sleeper.pid))
        assert process_state(sleeper) == "running"
        (group / file).write_text(frozen)
        until(sleeper, "frozen")
        (group / file).write_text(thawed)
        until(sleeper, "running")
    finally:
        if (group / file).exists():
            (group / file).write_text(thawed)
        os.kill(sleeper.pid, signal.SIGKILL)
        remove(group)


def remove(group: Path) -> None:
    """Once the process is out of it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            group.rmdir()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.005)
