"""Who was seen is ended, and nobody who has taken its pid since."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from shutil import which

import anyio
import pytest
from msgspec.structs import replace

import freezer
from jobkeepd.core.sight import Sight
from jobkeepd.runner import glance
from jobkeepd.runner.reaper import PidfdReaper

pytestmark = pytest.mark.anyio
Start = Callable[..., "subprocess.Popen[bytes]"]
DEAF = "trap '' TERM; echo; while :; do sleep 0.05; done"
ME = os.getuid()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts shells, each in a session of its own, and returns once they have begun."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(script: str = "echo; exec sleep 600", **environment: str) -> subprocess.Popen[bytes]:
        shell = subprocess.Popen(
            ["sh", "-c", script], env={"PATH": "/usr/bin:/bin", **environment}, stdout=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        started.append(shell)
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"\n"
        return shell

    yield begin
    for shell in started:
        with suppress(ProcessLookupError):
            shell.kill()
        shell.communicate()


async def seen(pid: int, name: str) -> Sight:
    """Once it has passed exec."""
    with anyio.fail_after(60):
        while True:
            sight = glance.see(pid, ME)
            assert sight is not None
            if name in sight.names:
                return sight
            await anyio.sleep(0.01)


async def test_who_obeys_gets_one_signal_and_who_is_deaf_two(start: Start) -> None:
    """All of them at once; a stopped one is continued, so that it can obey."""
    obedient, deaf, stopped = start(), start(DEAF), start()
    sights = [await seen(obedient.pid, "sleep"), await seen(deaf.pid, "sh"), await seen(stopped.pid, "sleep")]
    stopped.send_signal(19)
    with anyio.fail_after(60):
        ended = await PidfdReaper(ME).end(sights, 1.0)
    assert [(each.gone, each.sent) for each in ended] == [(True, (15, 18)), (True, (15, 18, 9)), (True, (15, 18))]
    assert [obedient.wait(60), deaf.wait(60), stopped.wait(60)] == [-15, -9, -15]
    assert [each.who is not None and each.who.pid for each in ended] == [obedient.pid, deaf.pid, stopped.pid]


async def test_who_has_become_somebody_else_is_left(start: Start) -> None:
    """Another start, another cookie, another program, or a wish to stay since it was seen."""
    shell, keeper = start(JOBKEEP_COOKIE="c1"), start(JOBKEEP_KEEP="1")
    sight = await seen(shell.pid, "sleep")
    assert sight.mark is not None
    others = [
        replace(sight, start_ticks=sight.start_ticks - 1),
        replace(sight, mark=replace(sight.mark, cookie="c2")),
        replace(sight, names=("other",)),
        replace(await seen(keeper.pid, "sleep"), keep=False),
    ]
    ended = await PidfdReaper(ME).end(others, 0.1)
    assert [each.sent for each in ended] == [()] * 4
    assert (shell.poll(), keeper.poll()) == (None, None)


async def test_process_1_and_the_daemon_itself_are_refused() -> None:
    """Whatever it is told; and so is another user's process."""
    sights = [sight for sight in (glance.see(1, 0), glance.see(os.getpid(), ME)) if sight is not None]
    ended = await PidfdReaper(ME).end(sights, 0.1)
    assert [(each.sent, each.gone) for each in ended] == [((), False)] * len(sights)
    other = await PidfdReaper(ME + 1).end([replace(sights[-1], pid=os.getppid())], 0.1)
    assert other[0].sent == ()


@pytest.mark.skipif(not freezer.HERE, reason=freezer.WHY_NOT)
async def test_who_cannot_be_ended_is_told_and_not_forgotten(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """In uninterruptible sleep; it ends once it can."""
    monkeypatch.setattr("jobkeepd.runner.reaper._DIES_WITHIN", 0.1)
    shell = start()
    sight = await seen(shell.pid, "sleep")
    with freezer.frozen(shell.pid):
        (ended,) = await PidfdReaper(ME).end([sight], 0.1)
        assert (ended.gone, ended.sent) == (False, (15, 18, 9))
        assert ended.why == "it is in uninterruptible sleep, and ends when that does"
    assert shell.wait(60) in (-9, -15)  # whichever the kernel takes first


@pytest.mark.skipif(os.geteuid() != 0 or which("unshare") is None, reason="only root, with unshare, chooses pids")
@pytest.mark.parametrize("reuses", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_no_signal_reaches_who_got_the_pid_since(reuses: int) -> None:
    """By any of our ways, however often the kernel gives the pids of the dead to others."""
    alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*alone, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no pid namespace can be had here")
    argv = [*alone, sys.executable, "-m", "runner.reuse", str(reuses)]
    done = subprocess.run(argv, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")
