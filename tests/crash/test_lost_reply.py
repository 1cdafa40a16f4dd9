"""The daemon is killed within a submit: between commit and reply, or anywhere else on the way."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon

from .judges import slay_all
from .test_unknown import LATE, Submit, Way, awaiting, awaiting_many, blocking, blocking_many, command_line
from .traced import attached, need_strace


@pytest.fixture
def way() -> Iterator[Way]:
    need_strace()
    daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="1")
    with daemon as jk:
        blocker = jk.run(["sleep", "600"])  # the others wait behind it
        while blocker.info().state != "running":  # then the next thing the daemon says is an answer
            time.sleep(0.01)
        yield Way(daemon)
        with jobkeep.connect_blocking(str(daemon.socket)) as jk:
            jk.job(blocker.id).cancel(force=True)
    slay_all(daemon.home)


def submit_killed(way: Way, submit: Submit, call: str, number: int, *words: str) -> list[str] | None:
    """Kill the daemon at that call of a thread, and start the next one; the calls, None if it lived."""
    name, daemon = way.name(), way.daemon
    words += ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}")
    with ThreadPoolExecutor(1) as pool:
        with attached(daemon.pid, daemon.home / "strace.log", *words) as calls:
            submitted = pool.submit(until_heard, submit, str(daemon.socket), name)
            while not submitted.done() and not reached(calls(), number):
                time.sleep(0.005)
        if died := reached(calls(), number):  # also after it had answered, when it read that the client was gone
            assert daemon.wait() == -signal.SIGKILL
            daemon.start().close()
        assert submitted.result() == way.jobs(name)
    return calls() if died else None


def until_heard(submit: Submit, path: str, name: str) -> list[str]:
    """Who is told that nobody listens asks again: nothing was asked then. The daemon may die before it is called."""
    while True:
        try:
            return submit(path, name, LATE)
        except jobkeep.ConnectionLost:  # then it is not known
            raise
        except jobkeep.DaemonUnreachable:
            time.sleep(0.05)


def reached(calls: list[str], number: int) -> bool:
    """Whether a thread has come so far."""
    entered = (re.match(r"(\d*) *\w+\(", call) for call in calls)
    return any(count >= number for count in Counter(call[1] for call in entered if call).values())


@pytest.mark.parametrize(("submit", "number"), [(blocking, 1), (awaiting_many, 2), (command_line, 1)])
def test_a_daemon_that_is_killed_between_commit_and_reply_makes_no_second_job(
    way: Way, submit: Submit, number: int
) -> None:
    """The last thing it was about to do was to answer."""
    calls = submit_killed(way, submit, "sendto", number)
    assert calls is not None
    answers = [call for call in calls if '"{\\"parameters\\":{\\"id' in call]
    assert len(answers) == number, calls
    assert not re.search(r"\) += \d+$", answers[-1])  # it never returned: the daemon had ended


@pytest.mark.long
@pytest.mark.parametrize("submit", [blocking, awaiting, blocking_many, awaiting_many, command_line])
@pytest.mark.parametrize("call", ["recvfrom", "sendto", "fdatasync", "pwrite64"])
def test_a_daemon_that_is_killed_anywhere_in_a_submit_makes_no_second_job(
    way: Way, submit: Submit, call: str
) -> None:
    """At the first call of that kind, then at the second, … until it lives, or there is only what it does anyway."""
    for number in range(1, 25):
        if submit_killed(way, submit, call, number, "-f") is None:
            break
    assert number > 1
