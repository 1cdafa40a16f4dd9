"""The local crew of a map: real processes, and what becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobkeep.sdk.crew import Done
from jobkeep.worker.hands import Hands

JOBS = '''
import os, signal, time
def where(item): return f"p{os.getpid()}"
def dies(item): os.kill(os.getpid(), signal.SIGKILL)
def odd(item): return lambda: None
def waits(gate):
    while not os.path.exists(gate): time.sleep(0.01)
'''


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Crew:
    """Hands, and how their work comes back."""

    def __init__(self, function: Any, most: int | None) -> None:
        self._news = threading.Condition()
        self.hands = Hands(function, most, self._announce)

    def _announce(self) -> None:
        with self._news:
            self._news.notify_all()

    def take(self) -> tuple[int, Done]:
        with self._news:
            assert self._news.wait_for(lambda: bool(self.hands.done), 60)
        return self.hands.done.popleft()

    def close(self) -> None:
        self.hands.end()


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "hands_jobs.py").write_text(JOBS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import hands_jobs  # type: ignore[import-not-found]

    yield hands_jobs
    del sys.modules["hands_jobs"]


def test_items_are_worked_off_by_other_processes_one_of_which_may_die(jobs: Any) -> None:
    """Each answers for its own bundle; another one takes the place of the dead."""
    with closing(Crew(jobs.dies, 1)) as crew:
        crew.hands.hand_out(1, [1, 2])
        number, done = crew.take()
        assert (number, done.died) == (1, "the process of the item ended: signal 9")
        crew.hands.hand_out(2, [3])
        assert crew.take()[1].died == done.died
    with closing(Crew(jobs.where, 1)) as crew:
        crew.hands.hand_out(1, [1, 2])
        ((first, _), (second, _)) = crew.take()[1].outcomes
        assert first == second != f"p{os.getpid()}"
    until(lambda: not Path(f"/proc/{first[1:]}").exists())


def test_what_cannot_go_to_another_process_or_come_back_is_said(jobs: Any) -> None:
    """Of functions at once, of what they return when it is there."""
    with pytest.raises(TypeError, match=r"cannot go to another process: .* top level of a module"):
        Hands(lambda item: None, 1, lambda: None)
    with closing(Crew(jobs.odd, 1)) as crew:
        crew.hands.hand_out(1, [1])
        assert "a process of the map cannot do its items" in str(crew.take()[1].broken)


def test_an_end_does_not_wait_for_an_item(jobs: Any, tmp_path: Path) -> None:
    """Nor is any process or thread left."""
    others = {*threading.enumerate()}
    crew = Crew(jobs.waits, 2)
    crew.hands.hand_out(1, [str(tmp_path / "gate")])
    crew.hands.hand_out(2, [str(tmp_path / "gate")])
    crew.hands.end()
    assert not [thread for thread in {*threading.enumerate()} - others if thread.name == "jobkeep map"]


def test_they_outlive_nobody(jobs: Any, tmp_path: Path) -> None:
    """Not even one that is killed."""
    script = tmp_path / "killed.py"
    script.write_text(
        "import time, hands_jobs\n"
        "from jobkeep.worker.hands import Hands\n"
        "hands = Hands(hands_jobs.where, 1, lambda: print(hands.done[0][1].outcomes[0][0], flush=True))\n"
        "hands.hand_out(1, [1])\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = parent.stdout.readline().strip()[1:]
        parent.send_signal(signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())
