"""Code that is edited between two calls: the second one runs what is on disk."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobkeep.worker.sources import IDLE_S

from .fake_daemon import FakeDaemon, Worker

SHOP = """
import os, sys
def version(): return [{version}, os.getpid()]
async def version_async(): return [{version}, os.getpid()]
def surroundings(): return [os.getcwd(), os.environ.get("FROM_A_JOB"), sorted(n for n in os.environ if "HANDOVER" in n)]
def spoil():
    import atexit, signal
    os.environ["FROM_A_JOB"] = "yes"
    os.chdir("/")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    atexit.register(print, "at exit")
def stays(ctx):
    ctx.progress(1)
    ctx.sleep(3600)
"""


def write(daemon: FakeDaemon, version: int, name: str = "shop", more: str = "") -> Path:
    path = daemon.directory / f"{name}.py"
    path.write_text(SHOP.format(version=version) + more)
    return path


def pause(worker: Worker) -> None:
    """Until its main thread has been idle for so long that it looks at its files before the next run."""
    status = Path(f"/proc/{worker.process.pid}/status")

    def waits() -> list[str]:
        """That it waits, and for how many times it has waited."""
        return re.findall(r"^State:\tS|^voluntary_ctxt_switches:.*", status.read_text(), re.MULTILINE)

    before: list[str] = []
    while len(now := waits()) < 2 or now != before:
        before = now
        time.sleep(2 * IDLE_S)


def settle() -> None:
    """Let a file be older than the next import, so that nothing is doubtful."""
    time.sleep(0.03)


@pytest.mark.parametrize("function", ["shop:version", "shop:version_async"])
def test_the_first_call_after_an_edit_runs_the_new_code(
    daemon: FakeDaemon, worker: Worker, function: str
) -> None:
    """In the same process, and once: no end is reported twice."""
    write(daemon, 1)
    settle()
    for _ in range(3):
        assert daemon.finish_of(function)["result"] == [1, worker.process.pid]
    write(daemon, 2)
    pause(worker)
    assert daemon.finish_of(function)["result"] == [2, worker.process.pid]
    assert len(daemon.attached) == 2
    assert daemon.attached[1]["pid"] == worker.process.pid
    assert daemon.finish_of(function)["result"] == [2, worker.process.pid]
    assert len(daemon.attached) == 2
    finished = [report["run"] for name, report in daemon.reports if name == "Finish"]
    assert len(finished) == len(set(finished))
    assert not [report for _, report in daemon.reports if report.get("retire")]


def test_short_runs_without_a_pause_meet_an_edit_within_a_moment(daemon: FakeDaemon, worker: Worker) -> None:
    """Files are looked at every 0.2 s, unless the host has no time for the worker: so one edit of twenty has to do."""
    write(daemon, 1)
    settle()
    daemon.finish_of("shop:version")

    def stale_s(version: int) -> float:
        """For how long after an edit runs are of the code before."""
        write(daemon, version)
        edited = last = time.monotonic()
        while daemon.finish_of("shop:version")["result"][0] != version:
            last = time.monotonic()
        return last - edited

    assert any(stale_s(version) < 0.3 for version in range(2, 22))


def test_a_run_is_announced_by_the_interpreter_that_executes_it(daemon: FakeDaemon, worker: Worker) -> None:
    """A stop reaches it there; orders behind it are dropped with the connection."""
    write(daemon, 1)
    settle()
    daemon.finish_of("shop:version")
    write(daemon, 2)
    pause(worker)
    run = daemon.order("shop:stays")
    behind = daemon.order("sample:talk")
    daemon.wait("Progress", run)
    assert (daemon.attached[-1]["run"], daemon.attached[-1]["fence"]) == (run, int(run[1:-2]))
    daemon.stop(run)
    assert daemon.wait("Finish", run)["outcome"] == "cancelled"
    assert daemon.finish_of("shop:version")["result"][0] == 2
    assert behind not in {report.get("run") for _, report in daemon.reports}


def test_the_fresh_interpreter_begins_as_the_first_one_did(daemon: FakeDaemon, worker: Worker) -> None:
    """Whatever jobs have done to directory, environment and signals."""
    write(daemon, 1)
    settle()
    daemon.finish_of("shop:spoil")
    write(daemon, 2)
    pause(worker)
    assert daemon.finish_of("shop:surroundings")["result"] == [str(daemon.directory), None, []]
    assert worker.log.read_text() == "at exit\n"
    worker.process.terminate()
    assert worker.exit_code() == -15


def test_an_end_that_nobody_has_acknowledged_is_said_again(daemon: FakeDaemon, worker: Worker) -> None:
    """By the fresh interpreter, before the end of its own run."""
    write(daemon, 1)
    settle()
    daemon.finish_of("shop:version")
    daemon.silent = {"Finish"}
    first = daemon.order("shop:version")
    daemon.wait("Finish", first)
    write(daemon, 2)
    pause(worker)
    second = daemon.order("shop:version")
    daemon.until(lambda: len(daemon.attached) == 2, "second attach")
    daemon.silent = set()
    assert daemon.wait("Finish", second)["result"][0] == 2
    assert daemon.wait("Finish", first, number=2)["result"][0] == 1
    assert daemon.attached[1]["run"] == second


def test_new_functions_vanished_modules_and_repaired_ones_are_found_at_once(
    daemon: FakeDaemon, worker: Worker
) -> None:
    """Also without any pause, and though compiled code of the same second and size is there."""
    write(daemon, 1)
    assert "has no 'added'" in daemon.finish_of("shop:added")["error"]["message"]
    write(daemon, 1, more="def added(): return 'added'\n")
    assert daemon.finish_of("shop:added")["result"] == "added"
    (daemon.directory / "shop.py").unlink()
    pause(worker)
    assert "no module 'shop'" in daemon.finish_of("shop:added")["error"]["message"]
    write(daemon, 3)
    assert daemon.finish_of("shop:version")["result"][0] == 3


def test_a_failed_import_leaves_nothing_behind(daemon: FakeDaemon, worker: Worker) -> None:
    """Neither the module nor those that it has imported, which may hold a half of it."""
    (daemon.directory / "aide.py").write_text("import chief\ndef ask(): return chief.answer\n")
    (daemon.directory / "chief.py").write_text("import aide\nx = 1 / 0\nanswer = 1\ndef f(): return aide.ask()\n")
    assert "ZeroDivisionError" in daemon.finish_of("chief:f")["error"]["message"]
    (daemon.directory / "chief.py").write_text("import aide\nx = 1 / 1\nanswer = 2\ndef f(): return aide.ask()\n")
    assert daemon.finish_of("chief:f")["result"] == 2


def test_an_edit_of_the_same_second_and_size_is_not_hidden_by_compiled_code(
    daemon: FakeDaemon, start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python looks at seconds and size only."""
    monkeypatch.setenv("KEEP_BYTECODE", "1")
    worker = start()
    times = (10**18, 10**18)
    os.utime(write(daemon, 1), ns=times)
    settle()
    assert daemon.finish_of("shop:version")["result"] == [1, worker.process.pid]
    assert list(daemon.directory.glob("__pycache__/shop.*"))
    os.utime(write(daemon, 2), ns=(times[0], times[1] + 1))
    pause(worker)
    assert daemon.finish_of("shop:version")["result"] == [2, worker.process.pid]


def test_a_module_edited_while_it_is_imported_is_imported_again(daemon: FakeDaemon, worker: Worker) -> None:
    """Which of the two versions was taken cannot be told."""
    path = write(daemon, 1)
    path.write_text(path.read_text() + "open(__file__, 'a').write('#') if len(open(__file__).read()) < 900 else 0\n")
    settle()
    daemon.finish_of("shop:version")
    pause(worker)
    daemon.finish_of("shop:version")
    assert len(daemon.attached) == 2
