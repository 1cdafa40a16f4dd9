"""Limits of a leader are there before its first instruction, and a limit that cannot be set keeps it from starting."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

import pytest

from jobkeepd.spawner import cgroup

from .wire import Peer, dial, order

SAY = """
import json, os, resource
print(json.dumps({
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "data": resource.getrlimit(resource.RLIMIT_DATA),
    "space": resource.getrlimit(resource.RLIMIT_AS), "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "cpus": len(os.sched_getaffinity(0)),
}))
"""
GIB = 1 << 30


def run(peer: Peer, runtime: Path, name: str, *argv: str, **limits: float) -> dict[str, object]:
    """What the slot says of its end, or of its failure to start."""
    peer.send(**order(runtime, name, *argv), **({"limits": limits} if limits else {}))
    while True:
        said = peer.next()
        assert said is not None
        if said["op"] in ("exit", "failed"):
            return said


def test_the_leader_has_its_limits_and_the_next_one_has_none(runtime: Path, shim: int) -> None:
    """Memory bounds what is allocated and not what is reserved; a share of a CPU is at most one of them."""
    peer = dial(runtime)
    peer.next()
    python = (sys.executable, "-I", "-S", "-c", SAY)

    run(peer, runtime, "a.1", *python, memory=GIB, nofile=77, nice=5, cpu=0.5)
    run(peer, runtime, "a.2", *python)

    limited, free = map(json.loads, (runtime / "output").read_text().splitlines())
    assert limited == {
        "nofile": [77, 77], "data": [GIB, GIB], "space": list(resource.getrlimit(resource.RLIMIT_AS)),
        "nice": os.getpriority(os.PRIO_PROCESS, 0) + 5, "cpus": 1,
    }  # fmt: skip
    assert free["nofile"] == list(resource.getrlimit(resource.RLIMIT_NOFILE))
    assert free["data"] == list(resource.getrlimit(resource.RLIMIT_DATA))
    assert (free["nice"], free["cpus"]) == (os.getpriority(os.PRIO_PROCESS, 0), len(os.sched_getaffinity(0)))
    peer.close()


def test_more_memory_than_its_limit_is_refused_to_the_run(runtime: Path, shim: int) -> None:
    """It is told so by its own allocator, and ends by itself; a reservation of address space costs nothing."""
    peer = dial(runtime)
    peer.next()
    reserve = "import mmap; mmap.mmap(-1, 1 << 33, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)"
    assert run(peer, runtime, "a.1", sys.executable, "-c", reserve, memory=GIB >> 2)["status"] == 0
    assert run(peer, runtime, "a.2", sys.executable, "-c", "bytes(1 << 29)", memory=GIB >> 2)["status"] == 1 << 8
    assert "MemoryError" in (runtime / "output").read_text()
    peer.close()


def test_a_limit_beyond_what_the_daemon_may_have_is_refused(runtime: Path, shim: int) -> None:
    """Nothing of the command runs, the failure says what the bound is, and the slot goes on."""
    peer = dial(runtime)
    peer.next()

    for number in range(1, 10):  # the end of a child that was put down comes at any time
        failed = run(peer, runtime, f"a.{number}", "touch", "ran", nofile=1 << 40)["failed"]
        assert isinstance(failed, dict)
        assert failed["stage"] == "limits"
        assert "LimitNOFILE=" in failed["message"]

    assert not (runtime / "ran").exists()
    assert run(peer, runtime, "b.1", "true")["status"] == 0
    peer.close()


class Hierarchy:
    """Control groups as the kernel has them, on a plain file system: a folder comes with its files."""

    def __init__(self, base: Path, controllers: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.base = base
        self.written: list[tuple[str, bytes]] = []
        self._controllers = controllers
        (base / "daemon").mkdir()
        (base / "jobkeep-s1/shim").mkdir(parents=True)
        monkeypatch.setattr(cgroup, "delegated", lambda: str(base))
        monkeypatch.setattr(cgroup, "_write", self._write)

    def _write(self, path: str, text: bytes) -> None:
        name = Path(path).relative_to(self.base)
        if name.name == "cgroup.subtree_control" and text[1:].decode() not in self._controllers:
            raise FileNotFoundError(path)
        self.written.append((str(name), text))


def test_limits_are_in_the_group_before_the_leader_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is left above the run's group; all of it ends together; a share of CPUs is its time in a tenth of a
    second.
    """
    kernel = Hierarchy(tmp_path, {"memory", "cpu"}, monkeypatch)

    assert cgroup.confine("s1", 42, 512 << 20, 1.5) == {"memory", "cpu"}

    assert kernel.written == [
        ("cgroup.subtree_control", b"+memory"), ("jobkeep-s1/cgroup.subtree_control", b"+memory"),
        ("cgroup.subtree_control", b"+cpu"), ("jobkeep-s1/cgroup.subtree_control", b"+cpu"),
        ("jobkeep-s1/run/memory.max", b"536870912"), ("jobkeep-s1/run/memory.oom.group", b"1"),
        ("jobkeep-s1/run/cpu.max", b"150000 100000"), ("jobkeep-s1/run/cgroup.procs", b"42"),
    ]  # fmt: skip
    cgroup.release("s1")
    assert not (tmp_path / "jobkeep-s1/run").exists()
    cgroup.leave("s1")
    assert not (tmp_path / "jobkeep-s1").exists()


@pytest.mark.parametrize(("controllers", "held"), [({"memory"}, {"memory"}), ({"cpu"}, {"cpu"}), (set(), set())])
def test_what_the_host_does_not_hand_over_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controllers: set[str], held: set[str]
) -> None:
    """Then the run's own limits do: which ones is known."""
    Hierarchy(tmp_path, controllers, monkeypatch)
    assert cgroup.confine("s1", 42, 1 << 30, 2.0) == held


def test_nothing_is_switched_on_where_the_daemon_has_no_group_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon could not be started again in a group with controllers for others."""
    kernel = Hierarchy(tmp_path, {"memory", "cpu"}, monkeypatch)
    (tmp_path / "daemon").rmdir()
    assert cgroup.confine("s1", 42, 1 << 30, 2.0) == frozenset()
    assert kernel.written == []


def test_who_was_ended_for_memory_is_counted_by_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this run; where nothing counts it is none."""
    Hierarchy(tmp_path, {"memory"}, monkeypatch)
    cgroup.confine("s1", 42, 1 << 30, None)
    assert cgroup.oom_kills("s1") == 0
    (tmp_path / "jobkeep-s1/run/memory.events").write_text("max 12\noom 1\noom_kill 3\noom_group_kill 1\n")
    assert cgroup.oom_kills("s1") == 3


@pytest.mark.parametrize(
    ("own", "base"),
    [
        ("/a.service", "/a.service"), ("/a.service/daemon", "/a.service"), ("/a.service/jobkeep-s1", "/a.service"),
        ("/a.service/jobkeep-s1/shim", "/a.service"), ("/a.service/jobkeep-s1/run", "/a.service/jobkeep-s1/run"),
    ],
)  # fmt: skip
def test_a_slot_finds_the_group_that_was_handed_over(
    own: str, base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From wherever it is itself; a daemon inside a run with limits stays inside them."""
    (tmp_path / "cgroup.procs").touch()
    monkeypatch.setattr(cgroup, "_MOUNTS", (str(tmp_path),))
    monkeypatch.setattr(cgroup, "_own", lambda: own)
    monkeypatch.setattr(cgroup, "_is_handed_over", lambda folder: folder.endswith((".service", "/run")))
    assert cgroup.delegated() == f"{tmp_path}{base}"
