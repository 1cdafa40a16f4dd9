"""What is left of a run is ended and told of, one by one; who wants to stay is kept by its slot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import freezer
from jobkeepd.spawner import record

from .wire import FOLDER, Peer, dial, order, put_down, until, wait_readable

pytestmark = pytest.mark.usefixtures("shim")
HIDDEN = "env -i setsid sh -c 'echo $$ > {0}; exec sleep 600' & while [ ! -s {0} ]; do sleep 0.01; done; "
KEEPER = "JOBKEEP_KEEP=1 setsid sh -c 'echo $$ > {0}; exec sleep 600' & while [ ! -s {0} ]; do sleep 0.01; done; "


CANNOT_DIE = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
import leftovers, tree

leftovers.REPORT_AFTER = 0.1
child = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
print(child, flush=True)
sys.stdin.readline()
left, said = leftovers.Leftovers(), []
while not said:
    left.kill(0)
    said = left.survivors("a.1")
    time.sleep(0.01)
assert not left.survivors("a.1"), "it is told once"
print(said.decode(), end="", flush=True)
"""


def until_drained(peer: Peer) -> dict[str, Any]:
    while True:
        message = peer.next()
        assert message is not None
        if message["op"] == "drained" or message.get("drained"):
            return message


def start(runtime: Path, peer: Peer, script: str, **more: Any) -> None:
    assert (peer.next() or {})["op"] == "hello"
    peer.send(**{**order(runtime, "a.1", "sh", "-c", script), **more})


def test_who_is_ended_is_told_with_its_identity(runtime: Path) -> None:
    """On the wire and on record, since a signal leaves no other trace."""
    peer, file = dial(runtime), runtime / "hidden"
    start(runtime, peer, HIDDEN.format(file))
    drained = until_drained(peer)
    assert drained["left"]["count"] == 1
    ((pid, ticks, inode, name, signals),) = drained["left"]["told"]
    assert (pid, name in ("sh", "sleep"), signals) == (int(file.read_text()), True, [signal.SIGTERM])
    assert ticks > 0
    assert inode > 0
    assert (record.read(str(runtime), "a.1", record.DRAINED) or {})["left"] == drained["left"]
    peer.close()


def test_of_very_many_some_are_named_and_all_are_counted(runtime: Path) -> None:
    """A record has an end."""
    peer = dial(runtime)
    start(runtime, peer, "for i in $(seq 50); do sleep 600 & done", grace=0.0)
    left = until_drained(peer)["left"]
    assert (left["count"], len(left["told"])) == (50, 32)
    peer.close()


def test_who_wants_to_stay_is_kept_and_the_run_is_over(runtime: Path, spawner: Peer) -> None:
    """At once, without its grace. The slot takes no other run, says so to the next daemon, and ends with its keeper."""
    peer, keeper, hidden = dial(runtime), runtime / "keeper", runtime / "hidden"
    start(runtime, peer, KEEPER.format(keeper) + HIDDEN.format(hidden) + "exit 3", grace=60.0)
    drained = until_drained(peer)
    assert (drained["keeping"], drained["left"]["count"]) == (True, 1)
    pid = int(keeper.read_text())
    os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(hidden.read_text()), 0)
    peer.send(**order(runtime, "b.1", "true"))
    assert (peer.next() or {})["failed"]["stage"] == "slot"
    peer.close()
    other = dial(runtime)
    hello = other.next() or {}
    assert (hello["state"], hello["run"], hello["keeping"]) == ("idle", "a.1", True)
    holder = record.lock_holder(record.slot_lock(str(runtime), "s1"))
    assert holder is not None
    pidfd = os.pidfd_open(holder)
    put_down(pid)
    wait_readable(pidfd)
    os.close(pidfd)
    other.close()


def test_a_leader_does_not_stay_when_it_is_to_end(runtime: Path) -> None:
    """Whatever it says: it is what is ended."""
    peer = dial(runtime)
    start(runtime, peer, "echo; sleep 600 & wait", env={"PATH": "/usr/bin:/bin", "JOBKEEP_KEEP": "1"})
    assert (peer.next() or {})["op"] == "started"
    output = runtime / "output"
    until(output.read_bytes)
    peer.send(op="end", run="a.1")
    assert until_drained(peer)["keeping"] is True
    for pid in Path(f"/proc/{record.lock_holder(record.slot_lock(str(runtime), 's1'))}/task").glob("*/children"):
        for child in pid.read_text().split():
            put_down(int(child))
    peer.close()


def test_a_killed_slots_keeper_is_left_alone_by_the_spawner(runtime: Path, spawner: Peer, shim: int) -> None:
    """What else was left is ended, and the run is over."""
    peer, keeper, hidden = dial(runtime), runtime / "keeper", runtime / "hidden"
    start(runtime, peer, KEEPER.format(keeper) + HIDDEN.format(hidden) + "echo ready; sleep 600", grace=0.2)
    output = runtime / "output"
    until(lambda: output.exists() and b"ready" in output.read_bytes())
    put_down(shim)
    spawner.send(id=1, op="end", slot="s1")
    assert spawner.next() == {"id": 1, "known": True}
    spawner.send(id=2, op="gone", slot="s1", until="unknown")
    assert spawner.next() == {"id": 2, "state": "unknown"}
    os.kill(int(keeper.read_text()), 0)
    left = (record.read(str(runtime), "a.1", record.DRAINED) or {})["left"]
    assert int(hidden.read_text()) in [told[0] for told in left["told"]]
    put_down(int(keeper.read_text()))
    peer.close()


@pytest.mark.skipif(not freezer.HERE, reason=freezer.WHY_NOT)
def test_who_does_not_die_of_it_is_told_of(tmp_path: Path) -> None:
    """A while after the kill, with its state: D is a sleep that no signal ends."""
    command = [sys.executable, "-I", "-S", "-c", CANNOT_DIE, str(FOLDER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        child = int(process.stdout.readline())
        with freezer.frozen(child):
            process.stdin.write("\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
    assert (said["op"], said["run"], len(said["told"])) == ("survivors", "a.1", 1)
    pid, _, _, name, state = said["told"][0]
    assert (pid, name, state) == (child, "sleep", "D")
