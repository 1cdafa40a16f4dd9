"""A run that lasts goes from its shim to its warden, and nobody but memory notices."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jobkeepd.spawner import record

from .rig import Rig, children_of, parent_of
from .wire import order, put_down, put_down_slots, start_spawner, until

LASTING = 0.05  # seconds, instead of two
MOST = 1024  # KiB


# Another child of the warden ends while it becomes a shim.
WOKEN = """
import shim, signal
made = shim.Leftovers
def woken():
    signal.raise_signal(signal.SIGCHLD)
    return made()
shim.Leftovers = woken
"""

# The first warden is stopped, by whomever, before it has said that it is there. Whoever comes later is waited for.
STOPPED = """
import os, signal, zygote
asked = zygote.Zygote._ask
def ask(*order):
    before = not os.path.exists(sys.argv[1] + "/stopped")
    zygote._PATIENCE, zygote._LAST_PATIENCE = (1000, 50) if before else (60_000, 60_000)
    return asked(*order)
zygote.Zygote._ask = ask
said = warden.reply
def stopped(*words):
    try:
        os.close(os.open(sys.argv[1] + "/stopped", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        pass
    else:
        os.kill(os.getpid(), signal.SIGSTOP)
    said(*words)
warden.reply = stopped
"""

# No run lasts.
NEVER = "warden.LASTING = 1e6"

# The kernel has ended somebody in the group of a run with limits.
OOM = """
import cgroup, os
cgroup.oom_kills = lambda slot: 2
cgroup.release = lambda slot: os.mkdir(f"{sys.argv[1]}/released")
"""


@pytest.fixture
def runtime(request: pytest.FixtureRequest) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="jk"))
    process = start_spawner(path, LASTING, getattr(request, "param", ""))
    yield path
    put_down_slots(path)
    process.kill()
    process.wait(60)
    shutil.rmtree(path)


@pytest.fixture
def rig(runtime: Path) -> Iterator[Rig]:
    rig = Rig(runtime)
    yield rig
    for peer in rig.peers:
        peer.close()


def go_on_when_told(rig: Rig, then: str) -> tuple[str, ...]:
    return "sh", "-c", f"while [ ! -e {rig.runtime}/go ]; do sleep 0.01; done; {then}"


def test_its_end_is_told_on_the_same_connection_and_is_the_slots_last(rig: Rig) -> None:
    """The exit and what is left of the run are as true as with a shim; then the slot takes its files with it."""
    rig.hand_over(*go_on_when_told(rig, "(setsid sleep 600 &) ; exit 37"))
    assert record.lock_holder(record.slot_lock(str(rig.runtime), "s1")) == rig.warden
    (rig.runtime / "go").touch()

    assert rig.hear("exit")["status"] == 37 << 8
    assert rig.hear("drained")["run"] == "a.1"

    assert rig.daemon.next() is None
    assert (rig.exit()["writer"], record.is_drained(str(rig.runtime), "a.1")) == ("shim", True)
    assert rig.gone() == "unknown"
    assert list((rig.runtime / "slots").iterdir()) == []


def test_signals_and_ends_reach_it_and_no_other_start_does(rig: Rig) -> None:
    """Whatever is asked of a slot: the warden does as its shim would have done, for this run alone."""
    rig.hand_over("sh", "-c", "trap 'echo got it' USR1; echo here; while :; do sleep 0.01; done")
    until(lambda: "here" in (rig.runtime / "output").read_text())

    rig.daemon.send(op="signal", run="a.1", number=int(signal.SIGUSR1))
    until(lambda: "got it" in (rig.runtime / "output").read_text())
    rig.daemon.send(**order(rig.runtime, "a.2", "true"))
    assert rig.hear("failed")["failed"]["stage"] == "slot"
    rig.daemon.send(op="end", run="a.1")

    ended = rig.hear("exit")
    assert ended["status"] == signal.SIGKILL
    assert ended.get("drained") or rig.hear("drained")


def test_daemons_come_and_go(rig: Rig) -> None:
    """Each one hears what runs, that it is the slot's last run, and its end if it is still there."""
    rig.hand_over(*go_on_when_told(rig, "exit 5"))
    for _ in range(2):
        older = rig.daemon
        rig.dial()
        hello = rig.hear("hello")
        assert (hello["run"], hello["state"], hello["last"]) == ("a.1", "running", True)
        assert (hello["pid"], hello["leader"][1]) == (rig.warden, rig.leader)
        assert older.next() is None
    rig.daemon.close()
    (rig.runtime / "go").touch()

    assert rig.gone() == "unknown"
    assert (rig.exit()["status"], rig.exit()["writer"]) == (5 << 8, "shim")


def test_a_record_that_was_removed_is_nothing_to_complain_of(rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    """The daemon has no use for it any more, and lets the run end."""
    rig.hand_over("sleep", "600")
    os.unlink(record.run_path(str(rig.runtime), "a.1"))

    rig.daemon.send(op="end", run="a.1")
    assert rig.hear("exit")["status"] == signal.SIGKILL
    assert rig.daemon.next() is None
    assert capfd.readouterr().err == ""


def test_the_spawner_sees_the_end_if_the_warden_is_killed(rig: Rig) -> None:
    """As for a shim: the leader goes on, and its exit is the true one."""
    rig.hand_over(*go_on_when_told(rig, "exit 9"))
    put_down(rig.warden)
    (rig.runtime / "go").touch()

    assert rig.gone() == "unknown"
    assert (rig.exit()["status"], rig.exit()["writer"]) == (9 << 8, "spawner")


@pytest.mark.parametrize("runtime", [NEVER], indirect=True)
@pytest.mark.parametrize("victim", ["warden", "shim"])
def test_a_slot_dies_as_a_whole(rig: Rig, victim: str) -> None:
    """Before there is anything to hand over: neither goes on alone, and the spawner sees the true end."""
    rig.open()
    rig.daemon.send(**order(rig.runtime, "a.1", *go_on_when_told(rig, "exit 3")))
    rig.hear("started")
    os.kill(rig.shim, signal.SIGSTOP)  # it dies of a kill all the same
    put_down(rig.warden if victim == "warden" else rig.shim)
    (rig.runtime / "go").touch()

    assert rig.gone() == "unknown"
    assert not any(Path(f"/proc/{pid}").exists() for pid in (rig.warden, rig.shim))
    assert (rig.exit()["status"], rig.exit()["writer"]) == (3 << 8, "spawner")


def test_a_stopped_warden_keeps_no_dead_shim_from_being_seen(rig: Rig) -> None:
    """Whoever asks what became of the slot wakes it."""
    rig.open()
    os.kill(rig.warden, signal.SIGSTOP)
    put_down(rig.shim)

    assert rig.gone() == "unknown"
    assert not Path(f"/proc/{rig.warden}").exists()


@pytest.mark.parametrize("runtime", [OOM], indirect=True)
@pytest.mark.parametrize(("more", "oom_kills"), [({"limits": {"nofile": 77}}, 2), ({}, 0)])
def test_its_limits_go_with_it(rig: Rig, more: dict[str, Any], oom_kills: int) -> None:
    """Its end says how many the kernel has ended for memory, and they are lifted; without any nobody asks it."""
    rig.hand_over(*go_on_when_told(rig, "exit 7"), **more)
    (rig.runtime / "go").touch()

    assert rig.hear("exit").get("oom", 0) == oom_kills
    assert rig.daemon.next() is None
    assert rig.exit().get("oom", 0) == oom_kills
    assert (rig.runtime / "released").exists() == bool(oom_kills)


@pytest.mark.parametrize("runtime", [WOKEN], indirect=True)
def test_a_warden_may_be_woken_while_it_becomes_a_shim(rig: Rig) -> None:
    """Once nobody read what wakes it a signal led to the next one, for ever."""
    rig.hand_over(*go_on_when_told(rig, "exit 4"))
    (rig.runtime / "go").touch()

    assert rig.hear("exit")["status"] == 4 << 8


def test_a_stopped_warden_is_continued_for_what_it_has_to_take(rig: Rig) -> None:
    """Whoever stops the whole slot wakes its shim alone, which has the lock."""
    rig.open()
    os.kill(rig.warden, signal.SIGSTOP)
    rig.daemon.send(**order(rig.runtime, "a.1", *go_on_when_told(rig, "exit 6")))
    rig.hear("started")
    rig.hear("lasts")
    (rig.runtime / "go").touch()

    assert rig.hear("exit")["status"] == 6 << 8


@pytest.mark.parametrize("runtime", [STOPPED], indirect=True)
def test_a_newborn_that_is_stopped_holds_up_nobody_but_its_slot(rig: Rig) -> None:
    """The spawner says so, and makes others; that one is no longer known, and ends like any that has no daemon."""
    rig.spawner.send(id=1, op="open", slot="s1")
    assert "has been stopped" in (rig.spawner.next() or {})["error"]
    until((rig.runtime / "stopped").exists)
    until(lambda: len(slots_of(rig)) == 1)
    (stopped,) = slots_of(rig)

    rig.open("s2")
    os.kill(stopped, signal.SIGCONT)
    rig.daemon.send(**order(rig.runtime, "a.1", "sh", "-c", "exit 8"))
    rig.hear("started")
    assert rig.hear("exit")["status"] == 8 << 8


def slots_of(rig: Rig) -> list[int]:
    """The wardens, which have sessions of their own."""
    found = []
    for pid in children_of(rig.pid):
        with suppress(ProcessLookupError):
            if os.getsid(pid) == pid:
                found.append(pid)
    return found


def test_slots_are_made_whatever_becomes_of_the_zygote(rig: Rig) -> None:
    """One that was killed is replaced when the next slot is asked for."""
    rig.open("s1")
    (zygote,) = set(children_of(rig.pid)) - {rig.warden}
    put_down(zygote)

    rig.open("s2")

    assert zygote not in children_of(rig.pid)
    until(lambda: parent_of(rig.warden) == rig.pid)  # once the process between zygote and slot has ended, too


def test_a_run_that_lasts_costs_a_mebibyte_at_most(rig: Rig) -> None:
    """Private memory, its own included."""
    rig.hand_over("sleep", "600")
    until(lambda: not Path(f"/proc/{rig.shim}").exists())

    assert private(rig.warden) + private(rig.leader) <= MOST


def private(pid: int) -> int:
    """KiB."""
    lines = map(str.split, Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(line[1]) for line in lines if line[0] in ("Private_Clean:", "Private_Dirty:"))
