"""run, call and logs in the foreground: exact bytes, true exit codes, and a daemon that may go away."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cli.conftest import Jobkeep, start
from cli.fake_daemon import FLUSH, FakeDaemon, Fault, Hangup, chunk, ended, job
from jobkeep.cli.main import main

ID = "k3x9a0b1c2d3e4f5"
BYTES = b"a\r\n\x00\xff\x1b[31mred\n"


@pytest.fixture
def followed(daemon: FakeDaemon) -> FakeDaemon:
    """A job that is accepted, prints to both streams and succeeds."""
    daemon.answers.update(
        Submit={"id": ID, "state": "queued", "created": True},
        Logs=lambda _: iter([chunk(BYTES), chunk(b"oops\n", "stderr"), chunk(b"end", offset=len(BYTES))]),
        Get={"job": ended(exit_code=0)},
        Wait={"jobs": [ended(exit_code=0)], "timed_out": False},
    )
    return daemon


def test_output_is_passed_through_byte_for_byte(
    followed: FakeDaemon, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """stdout to stdout and stderr to stderr, escapes and NULs included."""
    assert main(["run", "true"]) == 0

    assert capfdbinary.readouterr() == (BYTES + b"end", b"oops\n")


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (ended(exit_code=0), 0),
        (ended("failed", exit_code=3), 3),
        (ended("failed", signal=9), 137),
        (ended("cancelled", signal=15), 143),
        (ended("cancelled"), 1),
        (ended("failed", kind="lost"), 1),
        (ended("failed", exit_code=3, job__kind="function"), 1),
    ],
)
def test_the_exit_status_is_the_commands_own(
    jobkeep: Jobkeep, followed: FakeDaemon, end: dict[str, Any], code: int
) -> None:
    """128+N for a signal; 1 where there is none to pass on, and for functions."""
    followed.answers["Get"] = {"job": end}

    assert jobkeep("run", "true").code == code


def test_a_command_that_fails_speaks_for_itself(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """Its own stderr is enough; an end from outside is told."""
    followed.answers["Get"] = {"job": ended("failed", exit_code=3)}
    assert jobkeep("run", "true").err == "oops\n"

    followed.answers["Get"] = {"job": ended("failed", signal=9)}
    assert jobkeep("run", "true").err == (
        "oops\njobkeep: job k3x9a0b1 failed: command ended by signal 9 (SIGKILL)\nhint: jobkeep show k3x9a0b1\n"
    )


def test_a_functions_result_is_json_and_its_error_a_line(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """Behind its own output."""
    followed.answers["Logs"] = lambda _: iter([chunk(b"hello\n")])
    followed.answers.update(Get={"job": ended(job__kind="function")}, Result={"result": {"added": 3}})
    assert jobkeep("call", "m:f").out == 'hello\n{"added": 3}\n'

    error = {"type": "ValueError", "message": "bad\nrow", "traceback": "…"}
    followed.answers["Get"] = {"job": ended("failed", error=error, job__kind="function")}
    done = jobkeep("call", "m:f")
    assert (done.code, done.err) == (
        1,
        "jobkeep: job k3x9a0b1 failed: ValueError: bad\\nrow\nhint: jobkeep show k3x9a0b1 prints the traceback\n",
    )


def test_json_is_the_job_alone(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """With its result; the output can be had with `logs`."""
    end = ended(job__kind="function")
    followed.answers.update(Wait={"jobs": [end], "timed_out": False}, Result={"result": [1]})

    assert jobkeep("call", "--json", "m:f").json == {**end, "result": [1]}
    assert jobkeep("call", "-q", "m:f").out == f"{ID}\n"


def test_every_run_of_a_job_is_followed(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """A retry is waited for, and its output comes behind that of the run before."""
    states = iter(
        [
            job(state="queued", attempt=0),
            job(),
            job(state="scheduled"),
            job(attempt=2),
            ended(job__attempt=2, exit_code=0),
        ]
    )
    seen = {"started": False}

    def logs(where: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not seen["started"]:
            seen["started"] = True
            raise Fault("NoRun", message="not yet", id=ID, run=1)
        return iter([chunk(f"run {where['run']}\n".encode(), run=where["run"])])

    followed.answers.update(Logs=logs, Get=lambda _: {"job": next(states)}, Wait={"jobs": [], "timed_out": True})

    assert jobkeep("run", "true").out == "run 1\nrun 2\n"


def test_a_job_that_never_ran_ends_the_wait(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """Cancelled while it was queued."""

    def logs(_: object) -> None:
        raise Fault("NoRun", message="no run", id=ID, run=1)

    followed.answers.update(Logs=logs, Get={"job": ended("cancelled", job__attempt=0)})
    done = jobkeep("run", "true")

    assert (done.code, done.out) == (1, "")
    assert "job k3x9a0b1 cancelled" in done.err


def test_a_restarted_daemon_costs_no_byte(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """After a break everything is asked for again, and what was printed is skipped, stream by stream."""
    tries = iter([1, 2])

    def logs(_: object) -> Iterator[dict[str, Any]]:
        again = next(tries) == 2
        yield chunk(b"one ")
        yield chunk(b"e1 ", "stderr")
        if again:
            yield chunk(b"two ", offset=4)
            yield chunk(b"e2", "stderr", offset=3)
            yield chunk(b"three", offset=8)
            return
        yield chunk(b"tw", offset=4)
        yield FLUSH
        raise Hangup

    followed.answers["Logs"] = logs
    done = jobkeep("run", "true")

    assert (done.out, done.err) == ("one two three", "e1 e2")


def test_a_daemon_that_stays_away_is_exit_code_4(
    jobkeep: Jobkeep, followed: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that the job goes on, and how to get back to it."""
    monkeypatch.setattr("jobkeep.cli.follow.FOLLOW_PATIENCE", 0.2)

    def logs(_: object) -> Iterator[dict[str, Any]]:
        yield chunk(b"x")
        yield FLUSH
        followed.close()
        raise Hangup

    followed.answers["Logs"] = logs
    done = jobkeep("run", "true")

    assert (done.code, done.out) == (4, "x")
    assert f"the job goes on; jobkeep logs -f {ID} continues" in done.err


def test_logs_pass_their_options_on(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """One run, one stream, the last lines."""
    jobkeep("logs", "k3", "-n", "5", "--run", "2", "--stderr")
    jobkeep("logs", "k3")

    assert followed.called("Logs") == [
        {"id": ID, "run": 2, "stream": "stderr", "lines": 5, "follow": False},
        {"id": ID, "follow": False},
    ]


def test_logs_as_json_are_the_wires_chunks(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """One per line, base64 and offsets included."""
    assert jobkeep("logs", "k3", "--json", "-f").rows[0] == chunk(BYTES)


def test_a_job_without_a_run_has_no_logs(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """Exit code 3."""

    def logs(_: object) -> None:
        raise Fault("NoRun", message="no", id=ID, run=None)

    followed.answers["Logs"] = logs

    assert jobkeep("logs", "k3").code == 3
    assert "has no run 7" in jobkeep("logs", "k3", "--run", "7").err


class Interrupted:
    """A job that runs until it is cancelled `times` times; each cancellation sets off the next Ctrl-C."""

    def __init__(self, daemon: FakeDaemon, times: int) -> None:
        self.running = threading.Event()
        self.cancelled = [threading.Event() for _ in range(times)]
        self._daemon = daemon
        daemon.answers.update(Logs=self._logs, Cancel=self._cancel, Get={"job": ended("cancelled", signal=15)})

    def _logs(self, _: object) -> Iterator[dict[str, Any]]:
        yield chunk(b"begun\n")
        yield FLUSH
        self.running.set()
        assert self.cancelled[-1].wait(60)
        yield chunk(b"bye\n", offset=6)

    def _cancel(self, _: object) -> dict[str, Any]:
        self.cancelled[len(self._daemon.called("Cancel")) - 1].set()
        return {"id": ID, "state": "cancelling"}


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_cancels_and_twice_forces(folder: str, followed: FakeDaemon, times: int) -> None:
    """The job is told, its last output is still shown, and the exit code is 130."""
    script = Interrupted(followed, times)
    process = start("run", "sleep", "60")
    assert script.running.wait(60)
    for event in script.cancelled:
        process.send_signal(signal.SIGINT)
        assert event.wait(60)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 130
    assert out == b"begun\nbye\n"
    assert b"jobkeep: cancelling job k3x9a0b1" in err
    assert (b"killing job k3x9a0b1" in err) == (times == 2)
    assert [sent["force"] for sent in followed.called("Cancel")] == [False, True][:times]


def test_ctrl_c_ends_logs_quietly(followed: FakeDaemon) -> None:
    """Nothing is cancelled: only the looking ends."""
    script = Interrupted(followed, 1)
    process = start("logs", "-f", "k3")
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 100) == b"begun\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    script.cancelled[0].set()

    assert (process.returncode, out, err) == (130, b"", b"")
    assert followed.called("Cancel") == []


def test_a_reader_that_goes_away_is_no_error(followed: FakeDaemon) -> None:
    """`jobkeep logs | head` prints nothing on stderr."""
    gone = threading.Event()

    def logs(_: object) -> Iterator[dict[str, Any]]:
        assert gone.wait(60)
        yield chunk(b"x" * 100_000)

    followed.answers["Logs"] = logs
    process = start("logs", "k3")
    assert process.stdout is not None
    process.stdout.close()
    gone.set()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()

    assert (process.wait(timeout=120), err) == (141, b"")


def test_a_job_that_does_not_begin_says_once_why(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """Where there is no terminal nothing else would: a paused queue looks like a command that hangs."""

    def no_run(_: object) -> dict[str, Any]:
        raise Fault("NoRun", message="there is no run 1")

    reasons = [{"kind": "paused", "text": "queue default is paused by root"}, {"kind": "starting", "text": "soon"}]
    followed.answers["Explain"] = {"id": ID, "state": "queued", "reasons": reasons, "actions": {}}
    states = iter([job(state="queued", attempt=0)] * 12)
    followed.answers["Get"] = lambda _: {"job": next(states, ended(exit_code=0))}
    followed.answers["Logs"] = no_run
    followed.answers["Wait"] = {"jobs": [], "timed_out": True}
    done = jobkeep("run", "true")

    assert (done.code, done.err) == (0, "jobkeep: queue default is paused by root\n")
