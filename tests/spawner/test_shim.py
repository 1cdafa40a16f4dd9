"""What a slot promises on the wire: one connection, one run, and no order from the past."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobkeepd.spawner import record

from .wire import FOLDER, Peer, dial, order, put_down, wait_readable


def test_a_start_left_in_an_old_connection_never_runs(runtime: Path, shim: int) -> None:
    """A new connection closes the older one unread, and its hello says that nothing was accepted."""
    old = dial(runtime)
    assert old.next() is not None
    os.kill(shim, signal.SIGSTOP)
    old.send(**order(runtime, "old.1", "touch", "ran"))
    new = dial(runtime)
    os.kill(shim, signal.SIGCONT)

    hello = new.next()
    assert hello is not None
    assert (hello["run"], hello["state"]) == (None, "idle")
    assert old.next() is None

    new.send(**order(runtime, "new.1", "true"))
    while not (new.next() or {}).get("drained"):
        pass
    assert {path.name for path in (runtime / "runs").iterdir()} == {"new.1.run"}
    assert not (runtime / "ran").exists()
    old.close()
    new.close()


def test_a_busy_slot_refuses_a_start(runtime: Path, shim: int) -> None:
    """One run at a time; the refused one leaves no trace."""
    peer = dial(runtime)
    peer.next()
    peer.send(**order(runtime, "a.1", "sleep", "60"))
    assert (peer.next() or {})["op"] == "started"

    peer.send(**order(runtime, "b.1", "true"))

    refused = peer.next() or {}
    assert (refused["op"], refused["run"], refused["failed"]["stage"]) == ("failed", "b.1", "slot")
    assert not list(runtime.glob("runs/b.1.*"))
    peer.send(op="end", run="a.1")
    while not (peer.next() or {}).get("drained"):
        pass
    peer.close()


def environment(runtime: Path, peer: Peer, run: str, **order_: object) -> dict[str, str]:
    """What a leader sees, without what the shell adds."""
    peer.send(**{**order(runtime, run, "/usr/bin/env", "-0"), **order_})
    while not (peer.next() or {}).get("drained"):
        pass
    output = runtime / "output"
    text = output.read_text()
    output.write_text("")
    return dict(pair.split("=", 1) for pair in text.split("\0")[:-1])


def test_base_variables_last_as_long_as_the_connection(runtime: Path, shim: int) -> None:
    """An order's own variables beat them, a new base replaces the old one, a new connection starts with none."""
    peer = dial(runtime)
    peer.next()
    assert environment(runtime, peer, "a.1", env={"B": "2"}, base={"A": "1", "B": "1"}) == {"A": "1", "B": "2"}
    assert environment(runtime, peer, "a.2", env={"C": "3"}) == {"A": "1", "B": "1", "C": "3"}
    assert environment(runtime, peer, "a.3", env={}, base={"D": "4"}) == {"D": "4"}
    peer.close()

    other = dial(runtime)
    other.next()
    assert environment(runtime, other, "a.4", env={}) == {}
    other.close()


def test_a_short_run_is_told_in_one_go_a_long_one_at_once(runtime: Path, shim: int) -> None:
    """`started` is always told, before the exit."""
    peer = dial(runtime)
    peer.next()
    peer.send(**order(runtime, "a.1", "true"))
    assert [(peer.next() or {})["op"] for _ in range(2)] == ["started", "exit"]

    peer.send(**order(runtime, "a.2", "sleep", "60"))
    assert (peer.next() or {})["op"] == "started"
    peer.send(op="end", run="a.2")
    assert (peer.next() or {})["op"] == "exit"
    peer.close()


@pytest.mark.parametrize(("script", "silent"), [("true", True), ("echo", False), ("echo >&2", False)])
def test_a_slot_knows_whether_anything_was_written(runtime: Path, shim: int, script: str, silent: bool) -> None:
    """The exit says so, where it is the end of all."""
    peer = dial(runtime)
    peer.next()
    it = order(runtime, "a.1", "sh", "-c", script)
    peer.send(**{**it, "stderr": str(runtime / "errors")})
    peer.next()
    assert (peer.next() or {}).get("silent", False) is silent
    peer.close()


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b"\xff\n"])
def test_a_peer_that_talks_nonsense_is_hung_up_on(runtime: Path, shim: int, line: bytes) -> None:
    """And the slot is there for the next one."""
    peer = dial(runtime)
    peer.next()
    peer.socket.sendall(line)
    assert peer.next() is None
    peer.close()

    other = dial(runtime)
    assert (other.next() or {})["state"] == "idle"
    other.close()


def test_a_retired_slot_takes_its_files_with_it(runtime: Path, shim: int, spawner: Peer) -> None:
    """It ends when idle, by itself, and the spawner has nothing to take over."""
    pidfd = os.pidfd_open(shim)
    peer = dial(runtime)
    peer.next()
    peer.send(op="retire")

    wait_readable(pidfd)

    os.close(pidfd)
    assert list((runtime / "slots").iterdir()) == []
    spawner.send(id=2, op="gone", slot="s1", until="exited")
    assert spawner.next() == {"id": 2, "state": "unknown"}
    peer.close()


def test_one_spawner_per_directory(runtime: Path) -> None:
    """A second one finds the lock taken and says so."""
    command = [sys.executable, "-I", "-S", str(FOLDER / "spawner.py"), str(runtime)]

    second = subprocess.run(command, capture_output=True, timeout=120, check=False)

    assert second.returncode == 1
    assert b"locked by another process" in second.stdout


def test_orphans_of_two_killed_slots_are_told_apart(runtime: Path, spawner: Peer) -> None:
    """The end of one run leaves the other one's leader and children alone."""
    pids = []
    for number, slot in enumerate(("s1", "s2")):
        spawner.send(id=number, op="open", slot=slot)
        pids.append(int((spawner.next() or {})["pid"]))
        peer = Peer(record.slot_socket(str(runtime), slot))
        peer.next()
        peer.send(**order(runtime, f"{slot}.1", "sh", "-c", "sleep 600 & wait"))
        assert (peer.next() or {})["op"] == "started"
        peer.close()
    for pid in pids:
        put_down(pid)

    spawner.send(id=7, op="end", slot="s1")
    assert spawner.next() == {"id": 7, "known": True}
    spawner.send(id=8, op="gone", slot="s1", until="unknown")
    assert spawner.next() == {"id": 8, "state": "unknown"}

    assert record.is_drained(str(runtime), "s1.1")
    assert record.read(str(runtime), "s2.1", record.EXIT) is None
    spawner.send(id=9, op="end", slot="s2")
    assert spawner.next() == {"id": 9, "known": True}
    spawner.send(id=10, op="gone", slot="s2", until="unknown")
    assert spawner.next() == {"id": 10, "state": "unknown"}
    end = record.read(str(runtime), "s2.1", record.EXIT)
    assert end is not None
    assert (end["status"], end["writer"]) == (signal.SIGKILL, "spawner")
