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
import gate, leader, record
order = {"argv": ["touch", runtime + "/ran"], "env": {"PATH": "/usr/bin:/bin"}}
command = leader.Command(order, leader.Base({}))
gate = gate.Gate(runtime, "s1")
child = gate.hold("a.1", command, 1, 2)
print(child, flush=True)
"""


KILLED_IN_FRONT = """
import signal
os.kill(child, signal.SIGKILL)
gate.open()
print(gate.result(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
again = gate.hold("a.2", command, 1, 2)
os.close(record.begin(runtime, "s1", "a.2", b'{"op":"leader"}\\n'))
gate.open()
print(gate.result(), os.waitstatus_to_exitcode(os.waitpid(again, 0)[1]))
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
        [sys.executable, "-I", "-S", "-c", HOLDER + "os.read(0, 1)", str(FOLDER), str(runtime)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        pidfd = os.pidfd_open(int(holder.stdout.readline()))
        if on_record:
            os.close(record.begin(str(runtime), "s1", "a.1", b'{"op":"leader"}\n'))
        holder.kill()

    opened = record.throw_open(str(runtime), "s1")  # it may be on its last step to the gate
    wait_readable(pidfd)

    for fd in (pidfd, *opened):
        os.close(fd)
    assert (runtime / "ran").exists() == on_record


def test_a_child_killed_in_front_of_the_gate_holds_nobody_up(runtime: Path) -> None:
    """Opening the gate for it returns, and the next start works."""
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", HOLDER + KILLED_IN_FRONT, str(FOLDER), str(runtime)],
        capture_output=True,
        timeout=120,
        check=True,
    ).stdout

    assert said.split()[1:] == [b"0", b"-9", b"0", b"0"]
    assert (runtime / "ran").exists()


@pytest.mark.parametrize(("torn", "writer"), [(b"", "shim"), (b'{"op":"exit","wri', "spawner")])
def test_the_first_whole_exit_stands(runtime: Path, torn: bytes, writer: str) -> None:
    """Shim and spawner may both write an exit; the later one counts only where the earlier one is torn."""
    fd = record.begin(str(runtime), "s1", "a.1", b'{"op":"leader"}\n')
    record.write_line(fd, torn or b'{"op":"exit","writer":"shim"}\n')
    os.close(fd)
    record.append(str(runtime), "a.1", b'{"op":"exit","writer":"spawner"}\n')

    assert record.read(str(runtime), "a.1", record.EXIT) == {"op": "exit", "writer": writer}
    assert [path.name for path in runtime.glob("*/*")] == ["a.1.run"]


def test_a_run_begins_once(runtime: Path) -> None:
    """A second beginning is refused, in another slot, too, and leaves the first one's record as it was."""
    os.close(record.begin(str(runtime), "s1", "a.1", b'{"op":"leader","slot":"s1"}\n'))
    with pytest.raises(FileExistsError):
        record.begin(str(runtime), "s2", "a.1", b'{"op":"leader","slot":"s2"}\n')

    assert record.read(str(runtime), "a.1", record.LEADER) == {"op": "leader", "slot": "s1"}
    assert [path.name for path in runtime.glob("*/*")] == ["a.1.run"]


def test_nothing_is_appended_to_a_record_that_is_gone(runtime: Path) -> None:
    """Its run's end was committed: a record that came back would stay for ever."""
    with pytest.raises(FileNotFoundError):
        record.append(str(runtime), "a.1", b'{"op":"drained"}\n')

    assert list((runtime / "runs").iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b", "a\0b", "x" * 129, "\u00e4", None])
def test_only_plain_names_become_files(name: object) -> None:
    """A run's name is part of a path, so it is checked where it comes in."""
    assert not record.is_name(name)
