"""A spawner and what is left to it, at moments that only a script can arrange."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from jobkeepd.spawner import record

from .wire import FOLDER, Peer

RETIRES_WHILE_LOOKED_AT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import orphans, spawner, tree

it = spawner.Spawner(sys.argv[2])
reader, writer = os.pipe()
shim = os.fork()
if shim == 0:
    os.read(reader, 1)
    os._exit(0)
it._shims[shim] = "s1"
it._ring._fallen["s2"] = orphans.Fallen(None, 1, 60.0)  # another slot was killed, and its leader lives
listed = tree.children

def children():
    found = listed()
    if shim in found:
        os.write(writer, b"!")
        os.waitid(os.P_PID, shim, os.WEXITED | os.WNOWAIT)
    return found

tree.children = children
it._sweep()
"""


NOBODY_WANTS_TO_KNOW = """
import sys
sys.path.insert(0, sys.argv[1])
import orphans

ring = orphans.Ring(sys.argv[2])
ring.take_over("s1")
ring._fallen["s1"].run = "gone.1"
ring._let_go("s1")
"""


ENDED_BEFORE_ITS_SHIM = """
import os, sys
sys.path.insert(0, sys.argv[1])
import orphans, record

runtime = sys.argv[2]
leader = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 37"], {})
begun = {"op": "leader", "slot": "s1", "leader": ["boot", leader, record.start_ticks(leader), 1], "grace": 0.0}
os.close(record.begin(runtime, "s1", "a.1", record.encode(begun)))
ring = orphans.Ring(runtime)
ring.reaped(*os.wait4(leader, 0), True)
ring.take_over("s1")
exit = record.read(runtime, "a.1", record.EXIT)
assert (exit["status"], exit["writer"], exit["run"]) == (37 << 8, "spawner", "a.1"), exit
assert ring.state("s1") == "exited"
"""


REFUSED_BY_EXEC = """
import os, sys
sys.path.insert(0, sys.argv[1])
import orphans, record

runtime = sys.argv[2]

def begin(run, slot, leader):
    begun = {"op": "leader", "slot": slot, "leader": ["boot", leader, record.start_ticks(leader), 1], "grace": 0.0}
    os.close(record.begin(runtime, slot, run, record.encode(begun)))

def collected(ring):
    while (child := orphans.collect()) is None:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    ring.reaped(*child)

for run, order in (("seen.1", "take over first"), ("late.1", "collected first")):
    ring = orphans.Ring(runtime)
    reader, writer = os.pipe()
    leader = os.fork()
    if leader == 0:  # as posix_spawn's child does when exec is refused
        os.read(reader, 1)
        os._exit(127)
    begin(run, run[:4], leader)
    steps = [lambda: ring.take_over(run[:4]), lambda: (os.write(writer, b"!"), collected(ring))]
    for step in steps if order == "take over first" else reversed(steps):
        step()
    end = record.read(runtime, run, record.EXIT)
    assert (end["op"], end["failed"]["stage"], "status" in end) == ("failed", "exec", False), end
    assert ring.state(run[:4]) == "exited"

ring = orphans.Ring(runtime)
leader = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 127"], {})
begin("true.1", "true", leader)
collected(ring)
ring.take_over("true")
assert record.read(runtime, "true.1", record.EXIT)["status"] == 127 << 8
"""


DIES_WHILE_LOOKED_AT = """
import ctypes, os, sys, threading
sys.path.insert(0, sys.argv[1])
import orphans, spawner, tree

it = spawner.Spawner(sys.argv[2])
told, tell = os.pipe()
shim = os.fork()
if shim == 0:  # its main thread ends, and the other one has not yet
    def say():
        while not tree.has_ended(os.getpid()):
            pass
        os.write(tell, b"!")
        threading.Event().wait()
    threading.Thread(target=say).start()
    ctypes.CDLL(None).pthread_exit(None)
os.read(told, 1)
it._shims[shim] = "s1"
it._ring._fallen["s2"] = orphans.Fallen(None, 0, 0.0)  # another slot was killed, and its leader is over, too
seen = []
it._ring.sweep = seen.append
it._sweep()
assert seen == [], seen
os.kill(shim, 9)
os.waitid(os.P_PID, shim, os.WEXITED | os.WNOWAIT)
it._sweep()
assert seen, "it never looks again"
"""


def run_script(script: str, runtime: Path) -> tuple[int, str]:
    """Its exit code and what it complains of, in a process of its own: it waits for any child."""
    for folder in ("slots", "runs"):
        (runtime / folder).mkdir()
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(FOLDER), str(runtime)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return run.returncode, run.stderr


def test_a_slot_that_retires_while_orphans_are_looked_for_is_no_orphan(tmp_path: Path) -> None:
    """The spawner goes on: it is dead and collected by the time its session would be asked for."""
    assert run_script(RETIRES_WHILE_LOOKED_AT, tmp_path) == (0, "")


def test_an_end_that_nobody_wants_to_know_is_no_trouble(tmp_path: Path) -> None:
    """The record of the run was removed: it ends without a word."""
    assert run_script(NOBODY_WANTS_TO_KNOW, tmp_path) == (0, "")


def test_an_end_that_is_seen_before_that_of_the_shim_is_kept_for_its_record(tmp_path: Path) -> None:
    """A shim has two threads: its children fall to the spawner as the last one ends, its own death shows later."""
    assert run_script(ENDED_BEFORE_ITS_SHIM, tmp_path) == (0, "")


def test_a_status_is_no_commands_that_never_came_to_exec(tmp_path: Path) -> None:
    """Its slot was killed, exec was refused, and it ended with 127, as a command may. The kernel tells one from the
    other."""
    assert run_script(REFUSED_BY_EXEC, tmp_path) == (0, "")


def test_nobody_is_ended_as_an_orphan_while_a_shim_is_dying(tmp_path: Path) -> None:
    """The leader that it leaves behind is listed already, and taken for what another slot has left."""
    assert run_script(DIES_WHILE_LOOKED_AT, tmp_path) == (0, "")


def test_a_spawner_whose_daemon_was_killed_meanwhile_is_there_for_the_next_one(tmp_path: Path) -> None:
    """Nobody hears that it is ready; it can be called all the same."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(FOLDER / "spawner.py"), str(tmp_path)], stdin=subprocess.DEVNULL, stdout=writer
    )
    os.close(writer)
    try:
        peer = dial(process, record.spawner_socket(str(tmp_path)))
        hello = peer.next()
        peer.close()
        assert hello is not None
        assert hello["pid"] == process.pid
    finally:
        process.kill()
        process.wait()


def dial(process: subprocess.Popen[bytes], path: str) -> Peer:
    deadline = time.monotonic() + 60
    while True:
        try:
            return Peer(path)
        except (FileNotFoundError, ConnectionRefusedError):
            assert process.poll() is None, "it has ended"
            assert time.monotonic() < deadline, "it does not listen"
