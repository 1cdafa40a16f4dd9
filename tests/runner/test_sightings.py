"""What /proc says of processes, read without holding anybody up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace

from jobkeepd.core.sight import Mark, Sight
from jobkeepd.runner import glance, sightings
from jobkeepd.runner.launcher import Launcher

pytestmark = pytest.mark.anyio
ME = os.getuid()


def started(*command: str, stdout: int | None = None, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, env={"PATH": "/usr/bin:/bin", **environment}, stdin=subprocess.PIPE, stdout=stdout
    )


def in_proc(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


async def passed_exec(pid: int, name: str) -> None:
    with anyio.fail_after(60):
        while in_proc(pid, "comm").decode().strip() != name:
            await anyio.sleep(0.01)


async def test_a_process_is_seen_with_its_marks() -> None:
    """Its names, its parent, and what is ours in its environment; the first of two counts, as for itself."""
    child = started("cat", JOBKEEP_COOKIE="c1", JOBKEEP_JOB="abc", JOBKEEP_RUN="3", JOBKEEP_KEEP="1", A="JOBKEEP_RUN=4")
    with child:
        await passed_exec(child.pid, "cat")
        sight = glance.see(child.pid, ME)
        assert sight is not None
        assert (sight.parent, sight.uid, sight.mark, sight.keep) == (os.getpid(), ME, Mark("c1", "abc", 3), True)
        assert "cat" in sight.names
        close = glance.closer(sight, ME)
        assert (close.command, close.uid) == ("cat", ME)
        assert close.pidfd_inode is not None
        assert glance.see(child.pid, ME + 1).mark is None  # type: ignore[union-attr]
        child.kill()


async def test_a_script_goes_by_its_own_name(tmp_path: Path) -> None:
    """As well as by that of its interpreter."""
    script = tmp_path / "fakebrowser"
    script.write_text("#!/bin/sh\nread line\n")
    script.chmod(0o755)
    with started(str(script)) as child:
        await passed_exec(child.pid, "fakebrowser")
        sight = glance.see(child.pid, ME)
        assert sight is not None
        assert "fakebrowser" in sight.names
        child.kill()


async def test_zombies_and_threads_of_the_kernel_are_no_processes() -> None:
    """Nothing can be done with either."""
    with started("true") as child:
        with anyio.fail_after(60):
            while b") Z" not in in_proc(child.pid, "stat"):
                await anyio.sleep(0.01)
        assert glance.see(child.pid, ME) is None
    assert glance.see(2, 0) is None or "kthreadd" not in glance.see(2, 0).names  # type: ignore[union-attr]


async def test_a_look_knows_slots_and_spawner_by_their_locks(runtime: Path) -> None:
    """The kernel says who holds them."""
    async with Launcher(runtime, sys.executable) as launcher:
        slot = await launcher.open()
        seen = await sightings.Sightings(str(runtime), ME).look(arguments=False)
        assert list(seen.slots.values()) == [slot.name] * 2
        shim, warden = seen.slots
        (zygote,) = seen.spawners - {launcher.spawner_pid}
        assert seen.sights[zygote].parent == launcher.spawner_pid
        assert seen.sights[shim].parent == warden
        assert seen.sights[warden].parent == launcher.spawner_pid
        assert seen.daemon == os.getpid()


async def test_the_event_loop_turns_while_all_processes_are_looked_at(runtime: Path) -> None:
    """The look is another thread's business: had it taken the loop's own time, no turn would have been made at all."""
    (runtime / "slots").mkdir(exist_ok=True)
    turns = 0
    async with anyio.create_task_group() as group:

        async def turn() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        group.start_soon(turn)
        began = time.process_time()
        for _ in range(5):
            await sightings.Sightings(str(runtime), ME).look(arguments=True)
        assert time.process_time() > began
        group.cancel_scope.cancel()
    assert turns > 5


# -- what a look remembers --------------------------------------------------------------------------------------------


class Looks:
    """One after the other, each much later than the one before: so that all processes are old enough to be known."""

    def __init__(self, runtime: Path) -> None:
        (runtime / "slots").mkdir(exist_ok=True)
        self._runtime = str(runtime)
        self._memory = sightings.Memory()

    def look(self) -> Mapping[int, Sight]:
        seen, memory = sightings.look(self._runtime, ME, True, self._memory)
        self._memory = replace(memory, at=memory.at + 60)
        return seen.sights


@pytest.fixture
def looks(runtime: Path) -> Looks:
    return Looks(runtime)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each path was opened, or read as a link."""
    counts: Counter[str] = Counter()

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(path: Any, *arguments: Any, **options: Any) -> Any:
            counts[str(path)] += 1
            return call(path, *arguments, **options)

        return counted

    monkeypatch.setattr(os, "open", counting(os.open))
    monkeypatch.setattr(os, "readlink", counting(os.readlink))
    return counts


def test_a_process_that_stays_as_it_is_costs_one_file_each_look(looks: Looks, opened: Counter[str]) -> None:
    """Its environment, arguments and file are read again in one look of sixteen."""
    rounds = 16
    with started("cat", JOBKEEP_COOKIE="c1") as child:
        first = looks.look()[child.pid]
        opened.clear()
        assert all(looks.look()[child.pid].mark == first.mark for _ in range(rounds))
        mine = {name: opened[f"/proc/{child.pid}/{name}"] for name in ("stat", "environ", "exe", "cmdline")}
        child.kill()
    assert mine == {"stat": rounds, "environ": 1, "exe": 1, "cmdline": 1}


def test_who_was_seen_too_young_is_read_again(runtime: Path, opened: Counter[str]) -> None:
    """Its pid and start may have been those of another process."""
    (runtime / "slots").mkdir(exist_ok=True)
    with started("cat") as child:
        _, memory = sightings.look(str(runtime), ME, True, sightings.Memory())
        born = memory.glances[str(child.pid)].sight.born  # type: ignore[union-attr]
        turn = (child.pid + 1) % 16  # so that its turn is far
        for age, times in ((0.5, 1), (1.5, 0)):
            opened.clear()
            sightings.look(str(runtime), ME, True, replace(memory, at=born + age, turn=turn))
            assert opened[f"/proc/{child.pid}/environ"] == times
        child.kill()


async def test_another_program_in_a_process_is_noticed_at_once(looks: Looks) -> None:
    """Also the same program, with arguments and an environment of the same length."""
    script = "read line; exec env -i JOBKEEP_COOKIE=c2 sh -c 'read line; exec sleep 60' x2"
    with started("env", "-i", "JOBKEEP_COOKIE=c1", "sh", "-c", script, "x1") as child:
        assert child.stdin is not None
        await passed_exec(child.pid, "sh")
        before = looks.look()[child.pid]
        places = in_proc(child.pid, "cmdline")
        child.stdin.write(b"\n")
        child.stdin.flush()
        with anyio.fail_after(60):
            while in_proc(child.pid, "cmdline") in (places, b"") or in_proc(child.pid, "comm") != b"sh\n":
                await anyio.sleep(0.01)
        after = looks.look()[child.pid]
        assert [sight.mark for sight in (before, after)] == [Mark("c1"), Mark("c2")]
        assert after.command.endswith("x2")
        child.stdin.write(b"\n")
        child.stdin.flush()
        await passed_exec(child.pid, "sleep")
        assert looks.look()[child.pid].command == "sleep 60"
        child.kill()


async def test_another_parent_is_noticed_at_once(looks: Looks) -> None:
    """And what is known of the process stays."""
    with started("sh", "-c", "JOBKEEP_COOKIE=c1 sleep 60 & echo $!; read line", stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        await passed_exec(orphan, "sleep")
        assert looks.look()[orphan].parent == parent.pid
        parent.stdin.close()
        parent.wait()
        sight = looks.look()[orphan]
        os.kill(orphan, signal.SIGKILL)
    assert sight.parent != parent.pid
    assert sight.mark == Mark("c1")


async def test_who_writes_over_its_arguments_is_noticed_within_sixteen_looks(looks: Looks) -> None:
    """Nothing but the arguments themselves tells, as with programs that show there what they are doing."""
    script = (
        "import sys; sys.stdin.readline(); place = int(open('/proc/self/stat').read().rpartition(')')[2].split()[45]);"
        "memory = open('/proc/self/mem', 'r+b', 0); memory.seek(place); memory.write(b'renamed\\0');"
        "print(flush=True); sys.stdin.readline()"
    )
    with started(sys.executable, "-c", script, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        looks.look()
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        assert any(looks.look()[child.pid].command.startswith("renamed") for _ in range(16))
        child.kill()


def test_another_process_with_the_same_pid_is_another_process(looks: Looks) -> None:
    """Its start is in the line that is compared."""
    line, owner = glance.glance(os.getpid())
    mine = glance.seen(line, owner, ME, True)
    fields = line.split(b" ")
    fields[21] = b"%d" % (int(fields[21]) + 1)  # start ticks; no space in this name
    assert b" " not in line[line.index(b"(") : line.rindex(b")")]
    assert glance.seen_again(line, owner, mine) == mine
    assert glance.seen_again(b" ".join(fields), owner, mine) is None
    assert glance.seen_again(line, owner + 1, mine) is None
