"""What a foreground run does to the job that it made, and leaves alone where others made it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cli.conftest import Jobkeep, start
from cli.fake_daemon import FLUSH, FakeDaemon, chunk, ended

ID = "k3x9a0b1c2d3e4f5"


class Running:
    """A job that prints a line and goes on until the test lets it end."""

    def __init__(self, daemon: FakeDaemon, created: bool) -> None:
        self.printed = threading.Event()
        self.over = threading.Event()
        daemon.answers.update(
            Submit={"id": ID, "state": "running", "created": created},
            Logs=self._logs,
            Get={"job": ended("cancelled", signal=15)},
            Cancel=self._cancel,
        )

    def _logs(self, _: object) -> Iterator[dict[str, Any]]:
        offset = 0
        yield chunk(b"begun\n")
        yield FLUSH
        self.printed.set()
        while not self.over.wait(0.02):
            offset += 6
            yield chunk(b"again\n", offset=offset)

    def _cancel(self, _: object) -> dict[str, Any]:
        self.over.set()
        return {"id": ID, "state": "cancelling"}


@pytest.fixture
def theirs(daemon: FakeDaemon) -> Iterator[Running]:
    running = Running(daemon, created=False)
    yield running
    running.over.set()


@pytest.fixture
def ours(daemon: FakeDaemon) -> Iterator[Running]:
    running = Running(daemon, created=True)
    yield running
    running.over.set()


SHARED = [["--key", "k", "--on-conflict", "return"], ["--request-id", "r1"]]


@pytest.mark.parametrize("options", SHARED)
def test_ctrl_c_only_leaves_a_job_of_others(daemon: FakeDaemon, theirs: Running, options: list[str]) -> None:
    """It says that the job goes on, ends with 130, and cancels nothing."""
    process = start("run", *options, "sleep", "60")
    assert theirs.printed.wait(60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)

    assert process.returncode == 130
    assert b"job k3x9a0b1, which was there already, goes on" in err
    assert daemon.called("Cancel") == []


def test_ctrl_c_cancels_a_job_whose_submit_was_answered_twice(daemon: FakeDaemon, theirs: Running) -> None:
    """Without a key or an id from outside, the job that was there already is this one."""
    process = start("run", "sleep", "60")
    assert theirs.printed.wait(60)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)

    assert process.returncode == 130
    assert len(daemon.called("Cancel")) == 1


def run_into_a_closed_pipe(*argv: str) -> tuple[int, bytes]:
    """`jobkeep … | head -1`: exit code and stderr."""
    process = start(*argv)
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 6) == b"begun\n"
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    return process.wait(timeout=120), err


def test_a_job_of_ours_ends_with_the_reader_of_its_output(daemon: FakeDaemon, ours: Running) -> None:
    """As any other command of a pipeline does: quietly, with 141."""
    assert run_into_a_closed_pipe("run", "yes") == (141, b"")
    assert [sent["id"] for sent in daemon.called("Cancel")] == [ID]


def test_a_job_of_others_outlives_the_reader(daemon: FakeDaemon, theirs: Running) -> None:
    """Only the looking ends."""
    code, _ = run_into_a_closed_pipe("run", "--key", "k", "--on-conflict", "return", "yes")

    assert code == 141
    assert daemon.called("Cancel") == []


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("command not found: nope", 127),
        ("permission denied: ./x", 126),
        ("/tmp is a directory", 126),
        ("./x cannot be executed: it is no program for this machine and has no #! line", 126),
        ("the interpreter that ./x names in its first line does not exist", 126),
        ("working directory /x does not exist", 1),
        ("timed out after 5 s", 124),
    ],
)
def test_the_exit_status_tells_why_a_command_did_not_come_to_its_end(
    jobkeep: Jobkeep, daemon: FakeDaemon, reason: str, code: int
) -> None:
    """126 and 127 as in shells, 124 when its own time was over."""
    job = ended("failed", reason=reason, signal=15 if code == 124 else None)
    daemon.answers.update(
        Submit={"id": ID, "state": "queued", "created": True}, Logs=lambda _: iter([]), Get={"job": job}
    )
    done = jobkeep("run", "x")

    assert done.code == code
    assert reason in done.err


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("argument 'n' of m:f: Expected `str`, got `int`", "n='\"123\"'"),
        ("argument 'n' of m:f: Expected `bool`, got `str`", "n=true"),
        ("argument 'n' of m:f: Expected `int`, got `str`", "call --help"),
        ("m:f takes no argument 'n'", "jobkeep show k3x9a0b1"),
    ],
)
def test_a_value_of_the_wrong_type_gets_a_hint(
    jobkeep: Jobkeep, daemon: FakeDaemon, message: str, hint: str
) -> None:
    """How to write it on a command line."""
    job = ended("failed", error={"type": "TypeError", "message": message}, job__kind="function")
    daemon.answers.update(
        Submit={"id": ID, "state": "queued", "created": True}, Logs=lambda _: iter([]), Get={"job": job}
    )

    assert hint in jobkeep("call", "m:f").err.splitlines()[-1]


def test_a_result_keeps_its_letters(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """But nothing that steers a terminal; programs that ask for --json get ASCII."""
    result = {"n": "é 漢 😀", "c": "\x9b1m\u202e\x1b"}
    daemon.answers.update(
        Submit={"id": ID, "state": "queued", "created": True}, Logs=lambda _: iter([]),
        Get={"job": ended(job__kind="function")}, Wait={"jobs": [ended(job__kind="function")]},
        Result={"result": result},
    )  # fmt: skip
    done = jobkeep("call", "m:f")

    assert done.out == '{"n": "é 漢 😀", "c": "\\u009b1m\\u202e\\u001b"}\n'
    assert done.json == result
    assert jobkeep("call", "m:f", "--json").out.isascii()
