"""How a child has ended is known before it is collected."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from jobkeepd.spawner import ended

from .wire import FOLDER

SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import ended
{before}
child = os.posix_spawn("/bin/sh", ["sh", "-c", sys.argv[2]], {{}})
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
found = ended.children()
pid, status, (user, system, rss) = next(found)
there = os.path.exists(f"/proc/{{child}}")
try:
    next(found)
except ChildProcessError:
    print(pid == child, status, user >= 0 and system >= 0 and rss > 100, there, os.path.exists(f"/proc/{{child}}"))
"""


def look(command: str, before: str = "") -> list[str]:
    """In a process of its own: it collects any child."""
    script = SCRIPT.format(before=before)
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(FOLDER), command], capture_output=True, text=True
    )
    assert not run.stderr, run.stderr
    return run.stdout.split()


@pytest.mark.parametrize(
    ("command", "status"),
    [("exit 0", 0), ("exit 37", 37 << 8), ("kill -KILL $$", signal.SIGKILL), ("kill -TERM $$", signal.SIGTERM)],
)
def test_an_end_is_told_while_the_child_is_still_there(command: str, status: int) -> None:
    """Raw status and usage are those that wait4 would tell; after that it is collected, and there is no child."""
    assert look(command) == ["True", str(int(status)), "True", "True", "False"]


def test_an_unknown_machine_collects_at_once() -> None:
    """Where the number of the call is not known the same is told, without the second look."""
    assert look("exit 37", "ended._number = None") == ["True", str(37 << 8), "True", "False", "False"]


def test_the_machine_of_this_test_is_known() -> None:
    """Else the promise would not hold here."""
    assert ended._number is not None, os.uname().machine
