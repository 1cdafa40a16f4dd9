"""Output that rotation has dropped is told of, once, and never on stdout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FLUSH, FakeDaemon, Fault, Hangup, chunk, ended

ID = "k3x9a0b1c2d3e4f5"


@pytest.fixture
def followed(daemon: FakeDaemon) -> FakeDaemon:
    """A job that has ended."""
    daemon.answers.update(Get={"job": ended(exit_code=0)}, Wait={"jobs": [ended(exit_code=0)], "timed_out": False})
    return daemon


def gone(stream: str, offset: int, size: int) -> dict[str, Any]:
    """A chunk that says that the bytes before are not there any more."""
    return {**chunk(b"", stream, offset=offset), "dropped": size}


def test_what_rotation_has_dropped_is_told_once_on_stderr_also_over_a_break(
    jobkeep: Jobkeep, followed: FakeDaemon
) -> None:
    """stdout stays the job's own; after the break only what was dropped since is told, whatever comes again."""
    tries = iter((1, 2))

    def logs(_: object) -> Iterator[dict[str, Any]]:
        if next(tries) == 1:
            yield gone("stdout", 3 << 20, 3 << 20)
            yield chunk(b"one ", offset=3 << 20)
            yield FLUSH
            raise Hangup
        yield gone("stdout", 4 << 20, 4 << 20)
        yield chunk(b"two", offset=4 << 20)

    followed.answers["Logs"] = logs
    done = jobkeep("logs", "k3", "--follow")

    assert done.out == "one two"
    assert done.err.splitlines() == [
        "jobkeep: … 3 MiB of older output dropped by rotation",
        "jobkeep: … 1024 KiB of older output dropped by rotation",
    ]


def test_what_rotation_has_dropped_is_a_chunk_of_its_own_in_json(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """Once each, also when a break brings it again."""
    tries = iter((1, 2))

    def logs(_: object) -> Iterator[dict[str, Any]]:
        again = next(tries) == 2
        yield gone("stdout", 100, 100)
        if not again:
            yield FLUSH
            raise Hangup
        yield chunk(b"x", offset=100)
        yield gone("stdout", 200, 200)

    followed.answers["Logs"] = logs

    assert jobkeep("logs", "k3", "-f", "--json").rows == [
        gone("stdout", 100, 100), chunk(b"x", offset=100), gone("stdout", 200, 99),
    ]  # fmt: skip


def test_show_tells_how_much_there_was_and_how_much_is_gone(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """Of each stream that has anything."""
    sizes = [
        {"stream": "stdout", "bytes": 12 << 20, "first": 8 << 20},
        {"stream": "stderr", "bytes": 48, "first": 0},
    ]
    followed.answers["Get"] = {"job": {**ended(exit_code=0), "output": sizes}}

    assert "12 MiB of stdout, the first 8 MiB dropped by rotation; 48 bytes of stderr" in jobkeep("show", "k3").out
    assert followed.called("Get")[0] == {"id": "k3", "output": True}


def test_show_goes_without_where_an_older_daemon_cannot_tell(jobkeep: Jobkeep, followed: FakeDaemon) -> None:
    """It refuses what it does not know; another refusal is told."""

    def get(asked: dict[str, Any]) -> dict[str, Any]:
        if "output" in asked:
            raise Fault("org.varlink.service.InvalidParameter", parameter="output")
        return {"job": ended(exit_code=0)}

    followed.answers["Get"] = get
    assert jobkeep("show", "k3").code == 0
