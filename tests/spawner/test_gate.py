"""Nothing of a command runs before its leader is on record."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobkeepd.spawner import record

from .wire import FOLDER, wait_readable

HOLDER = """
import os, sys
sys.path.insert(0, sys.argv[1])
runtime = sys.argv[2]
import gate, leader
command = leader.Command({"argv": ["touch", runtime + "/ran"], "env": {"PATH": "/usr/bin:/bin"}})
gate = gate.Gate(runtime, "s1")
print(gate.hold("a.1", command, 1, 2), flush=True)
os.read(0, 1)
"""


@pytest.fixture
def runtime() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="jk"))
    for folder in ("slots", "runs"):
        (path / folder).mkdir()
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("on_record", [False, True])
def test_past_the_gate_only_what_is_on_record_runs(runtime: Path, on_record: bool) -> None:
    """The process that held a child back is killed, and the gate opened by another one: the record decides."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", HOLDER, str(FOLDER), str(runtime)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        pidfd = os.pidfd_open(int(holder.stdout.readline()))
        if on_record:
            assert record.write_first(str(runtime), "a.1", record.LEADER, b"{}\n")
        holder.kill()

    while not record.open_gate(record.slot_gate(str(runtime), "s1")):
        os.sched_yield()  # it may be on its last step to the gate
    wait_readable(pidfd)

    os.close(pidfd)
    assert (runtime / "ran").exists() == on_record


def test_the_first_record_stands(runtime: Path) -> None:
    """Shim and spawner may both write an exit; the later one changes nothing."""
    assert record.write_first(str(runtime), "a.1", record.EXIT, b'{"writer":"shim"}\n')
    assert not record.write_first(str(runtime), "a.1", record.EXIT, b'{"writer":"spawner"}\n')

    assert record.read(str(runtime), "a.1", record.EXIT) == {"writer": "shim"}
    assert [path.name for path in (runtime / "runs").iterdir()] == ["a.1.exit"]


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b", "a\0b", "x" * 129, "\u00e4", None])
def test_only_plain_names_become_files(name: object) -> None:
    """A run's name is part of a path, so it is checked where it comes in."""
    assert not record.is_name(name)
