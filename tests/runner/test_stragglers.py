"""What is left of a run under nobody is found by its cookie, and only that is ended."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import anyio
import pytest

from jobkeepd.runner.stragglers import Stragglers

pytestmark = pytest.mark.anyio
Start = Callable[..., "subprocess.Popen[bytes]"]
DEAF = "trap '' TERM; echo; while :; do sleep 0.05; done"
OBEDIENT = "echo; while :; do sleep 0.05; done"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts shells, each in a session of its own, and returns once they have begun."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(script: str, cookie: str, **more: str) -> subprocess.Popen[bytes]:
        shell = subprocess.Popen(
            ["sh", "-c", script],
            env={"PATH": "/usr/bin:/bin", "JOBKEEP_COOKIE": cookie, **more},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(shell)
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"\n"
        return shell

    yield begin
    for shell in started:
        with suppress(ProcessLookupError):
            shell.kill()
        shell.communicate()


async def test_who_has_the_cookie_is_asked_to_end_and_nobody_else(start: Start) -> None:
    """A cookie that only begins like it is another one, and so is one in another variable."""
    mine, longer, other = start(OBEDIENT, "abc"), start(OBEDIENT, "abcd"), start(OBEDIENT, "xyz", MY_COOKIE="abc")
    with anyio.fail_after(60):
        await Stragglers().end("abc", 60.0)
    assert (mine.wait(60), longer.poll(), other.poll()) == (-15, None, None)


async def test_who_is_deaf_is_killed_after_its_grace(start: Start) -> None:
    """Whatever it has started, too."""
    deaf = start(DEAF, "abc")
    with anyio.fail_after(60):
        await Stragglers().end("abc", 0.2)
    assert deaf.wait(60) == -9


async def test_nobody_is_a_quick_answer() -> None:
    """No grace is waited for."""
    with anyio.fail_after(60):
        await Stragglers().end("nobody has this", 600.0)


async def test_many_ask_at_once_and_each_gets_its_own(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look at all processes serves all of them."""
    shells = [start(OBEDIENT, f"cookie{number}") for number in range(10)]
    spared = start(OBEDIENT, "cookie10")
    stragglers, counts = Stragglers(), Counter[str]()

    def count(name: str) -> None:
        honest = getattr(stragglers, name)

        async def counted() -> object:
            counts[name] += 1
            return await honest()

        monkeypatch.setattr(stragglers, name, counted)

    count("_look")
    count("_look_myself")
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(stragglers.end, f"cookie{number}", 60.0)
    assert [shell.wait(60) for shell in shells] == [-15] * 10
    assert spared.poll() is None
    assert counts["_look"] >= 30
    assert counts["_look_myself"] * 2 < counts["_look"]


async def test_one_who_gives_up_leaves_nobody_waiting(start: Start) -> None:
    """Whoever has joined its look looks again."""
    shell, stragglers = start(OBEDIENT, "abc"), Stragglers()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            gives_up = anyio.CancelScope()

            async def look() -> None:
                with gives_up:
                    await stragglers.end("other", 60.0)

            async with stragglers._looking:  # somebody else's look is under way
                group.start_soon(look)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(stragglers.end, "abc", 60.0)
                await anyio.wait_all_tasks_blocked()
                gives_up.cancel()
                await anyio.wait_all_tasks_blocked()
    assert shell.wait(60) == -15
