"""The way to the spawner, which may die at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from jobkeepd.errors import RunnerError
from jobkeepd.runner.launcher import Launcher
from jobkeepd.runner.spawner_link import SpawnerGone, SpawnerLink

from .conftest import put_down
from .orders import shell

pytestmark = pytest.mark.anyio


class Unlucky(SpawnerLink):
    """Its spawners are killed right after they said that they are ready."""

    def __init__(self, runtime: str, deaths: int) -> None:
        super().__init__(runtime, sys.executable)
        self.deaths = deaths

    async def _dial(self) -> Any:
        process = self._process
        if process is not None and self.deaths:
            self.deaths -= 1
            process.kill()
            process.wait()
        return await super()._dial()


def runtime_of(tmp_path: Path) -> str:
    for folder in ("slots", "runs"):
        (tmp_path / folder).mkdir()
    return str(tmp_path)


async def test_a_spawner_that_dies_before_it_is_dialled_is_started_again(tmp_path: Path) -> None:
    """The daemon does not refuse to start for it."""
    link = Unlucky(runtime_of(tmp_path), deaths=2)
    async with anyio.create_task_group() as group:
        await link.open(group)
        assert link.deaths == 0
        assert link.pid is not None
        assert link._process is not None
        link._process.kill()
        link._process.wait()
        link.close()
        group.cancel_scope.cancel()


async def test_a_spawner_that_always_dies_is_not_started_for_ever(tmp_path: Path) -> None:
    """The error says how often it was tried, and where to look."""
    link = Unlucky(runtime_of(tmp_path), deaths=1000)
    async with anyio.create_task_group() as group:
        with pytest.raises(RunnerError, match="died .* see spawner.log"):
            await link.open(group)


def python_that(runtime: Path, *lives: str) -> str:
    """An interpreter whose n-th start does the n-th of these things in a shell, and that is a real one after that."""
    script, count = runtime / "python", runtime / "count"
    cases = "\n".join(f"{number}) {life}; exit 0;;" for number, life in enumerate(lives))
    script.write_text(
        f"#!/bin/sh\nn=$(cat {count} 2>/dev/null || echo 0)\necho $((n + 1)) > {count}\n"
        f'case $n in\n{cases}\nesac\nexec {sys.executable} "$@"\n'
    )
    script.chmod(0o700)
    return str(script)


async def test_a_spawner_that_is_killed_before_it_says_anything_is_started_again(runtime: Path) -> None:
    """Or right after it has."""
    async with Launcher(runtime, python_that(runtime, ":", "echo ready", ":")) as launcher:
        execution = await (await launcher.open()).start(shell(runtime, "exit 3"))
        exit = await execution.exited()
        assert exit is not None
        assert exit.status == 3 << 8


async def test_a_slot_that_was_being_made_when_the_spawner_was_killed_does_not_stand_in_the_way(
    runtime: Path, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket is there, and nobody has said so: the next spawner makes a slot of another name."""
    ask = launcher._spawner.ask
    killed = []

    async def ask_a_victim(request: dict[str, Any]) -> dict[str, Any]:
        answer = await ask(request)
        if not killed:
            killed.append(launcher.spawner_pid)
            assert launcher.spawner_pid is not None
            put_down(launcher.spawner_pid)
            with anyio.fail_after(60):
                while launcher.spawner_pid in killed:
                    await anyio.sleep(0.01)
            raise SpawnerGone("it died before it answered")
        return answer

    monkeypatch.setattr(launcher._spawner, "ask", ask_a_victim)
    execution = await (await launcher.open()).start(shell(runtime, "exit 3"))
    exit = await execution.exited()
    assert exit is not None
    assert exit.status == 3 << 8
    assert launcher.spawner_pid not in killed


async def test_a_spawner_that_says_why_it_cannot_run_is_believed_at_once(runtime: Path) -> None:
    """Trying again would not help."""
    with pytest.raises(RunnerError, match="does not start: no room"):
        async with Launcher(runtime, python_that(runtime, "echo no room")):
            pass
    assert (runtime / "count").read_text() == "1\n"


def test_one_that_ends_long_after_it_was_let_go_leaves_no_zombie(tmp_path: Path) -> None:
    """It is collected when another one is let go."""
    link = SpawnerLink(runtime_of(tmp_path), sys.executable)
    slow, other = (subprocess.Popen(["sleep", "600"]) for _ in range(2))
    link._process = slow
    link.close()
    slow.kill()
    os.waitid(os.P_PID, slow.pid, os.WEXITED | os.WNOWAIT)
    link._process = other
    link.close()
    assert slow.returncode is not None
    other.kill()
    other.wait()
    link.close()
