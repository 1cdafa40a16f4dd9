"""run --from-file: a job for each line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault

COUNTS = {"limit": 2, "configured": 2, "running": 0, "queued": 0, "scheduled": 0, "paused": None, "limited": None}
QUEUES = {"queues": [{"name": name, **COUNTS} for name in ("default", "bulk")]}


@pytest.fixture
def taking(daemon: FakeDaemon) -> FakeDaemon:
    """Accepts everything; ids tell the message and the place in it."""
    numbers = iter(range(1, 1000))

    def many(parameters: dict[str, Any]) -> dict[str, Any]:
        number = next(numbers)
        return {"ids": [f"m{number}x{place}" for place in range(len(parameters["items"]))]}

    daemon.answers["List"] = QUEUES
    daemon.answers["SubmitMany"] = many
    daemon.answers["Submit"] = lambda parameters: {"id": f"s{next(numbers)}", "state": "queued", "created": True}
    return daemon


def write(path: Path, *lines: Any) -> str:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


def job(**fields: Any) -> dict[str, Any]:
    return {"command": ["true"], **fields}


def test_lines_go_in_messages_of_1000_and_ids_come_in_their_order(
    jobkeep: Jobkeep, taking: FakeDaemon, tmp_path: Path
) -> None:
    """Options are for all of them; directory, environment and umask are this process's."""
    file = write(tmp_path / "f", *(job(priority=number % 7) for number in range(2500)))
    done = jobkeep("run", "--from-file", file, "--queue", "bulk", "--label", "a=b", "-q", "--request-id", "r")
    sent = taking.called("SubmitMany")
    assert [len(message["items"]) for message in sent] == [1000, 1000, 500]
    assert [message["request_id"] for message in sent] == ["r/1/1", "r/1001/1", "r/2001/1"]
    assert done.out.split() == [f"m{m}x{n}" for m, many in ((1, 1000), (2, 1000), (3, 500)) for n in range(many)]
    assert [item["priority"] for message in sent for item in message["items"]] == [n % 7 for n in range(2500)]
    template = sent[0]["template"]
    assert (template["queue"], template["labels"], template["cwd"][:1]) == ("bulk", {"a": "b"}, "/")
    assert "command" not in template
    assert (done.code, done.err) == (0, "")


def test_a_file_is_checked_whole_before_anything_is_submitted(
    jobkeep: Jobkeep, taking: FakeDaemon, tmp_path: Path
) -> None:
    """Each wrong line with its number and field, no traceback; exit code 2."""
    good = [job() for _ in range(1500)]
    wrong = [
        job(retries="x"), {"comand": []}, "{nope", "[1]", job(function="a:b"), {"queue": "bulk"},
        job(cwd="\0"), job(key="k"), job(key="k"), job(on_conflict="replace-queued"), job(on_conflict="odd"),
        job(timeout="long"), "[" * 5000,
    ]  # fmt: skip
    done = jobkeep("run", "--from-file", write(tmp_path / "f", *good, "", *wrong))
    assert (done.code, done.out, taking.calls) == (2, "", [])
    for said in (
        "line 1502: retries: Expected `int`", "line 1503: there is no option 'comand'", "line 1504: not JSON",
        "line 1505: not a JSON object", "line 1506: command: both a command and a function",
        "line 1507: command: neither a command nor a function", "line 1508: cwd: ",
        "line 1510: key: line 1509 has the same key k", "line 1511: on_conflict: replace_queued is about jobs with",
        "line 1512: ", "12 lines are wrong; the first is line 1502", "nothing was submitted",
    ):  # fmt: skip
        assert said in done.err, done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["-", "missing"])
def test_stdin_is_read_to_its_end_first(
    jobkeep: Jobkeep, taking: FakeDaemon, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A pipe, too; a file that is not there is an error."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(b'{"command": ["a"]}\n\n{"command": ["b"]}')))
    done = jobkeep("run", "--from-file", name, "--json")
    if name == "-":
        assert done.rows == [{"id": "m1x0", "line": 1}, {"id": "m1x1", "line": 3}]
    else:
        assert (done.code, done.err) == (2, "jobkeep: --from-file: missing: No such file or directory\n")


def test_an_unknown_queue_is_found_before_anything_is_in(
    jobkeep: Jobkeep, taking: FakeDaemon, tmp_path: Path
) -> None:
    """With the first line that names it."""
    done = jobkeep("run", "--from-file", write(tmp_path / "f", job(), job(queue="odd"), job(queue="odd")))
    assert (done.code, taking.called("SubmitMany")) == (2, [])
    assert "line 2: queue: there is no queue odd; there are: default, bulk" in done.err


def test_what_becomes_of_a_conflict_is_each_lines_own(jobkeep: Jobkeep, taking: FakeDaemon, tmp_path: Path) -> None:
    """Those lines go alone, in their place; the option is for all that have a key or a lock."""
    keyed = [job(key="k", on_conflict=choice) for choice in ("return", "cancel-running")]
    lines = [job(), *keyed, job(), job(lock="l")]
    done = jobkeep("run", "--from-file", write(tmp_path / "f", *lines), "-q", "--request-id", "r")
    assert done.out.split() == ["m1x0", "s2", "s3", "m4x0", "m4x1"]
    said = [(call["spec"]["key"], call["on_conflict"], call["request_id"]) for call in taking.called("Submit")]
    assert said == [("k", "return", "r/2"), ("k", "cancel_running", "r/3")]
    taking.calls.clear()
    jobkeep("run", "--from-file", write(tmp_path / "f", *lines), "--on-conflict", "reject")
    assert [call["on_conflict"] for call in taking.called("Submit")] == ["return", "cancel_running", "reject"]


def test_an_error_says_how_many_are_in_and_how_to_go_on(
    jobkeep: Jobkeep, taking: FakeDaemon, tmp_path: Path
) -> None:
    """The same command with the request id: the messages that were taken answer as the first time."""
    many = taking.answers["SubmitMany"]

    def refuse(parameters: dict[str, Any]) -> Any:
        if parameters["request_id"].startswith("r/1001/"):
            raise Fault("KeyConflict", message="job x has the key k7", key="k7", id="x", state="queued", since_s=1.0)
        return many(parameters)

    taking.answers["SubmitMany"] = refuse
    file = write(tmp_path / "f", *(job(key="k7") if number == 1206 else job() for number in range(1500)))
    done = jobkeep("run", "--from-file", file, "-q", "--request-id", "r")
    assert (done.code, len(done.out.split())) == (5, 1000)
    assert "lines 1001 to 1500 (line 1207): job x has the key k7; 1000 jobs are in" in done.err
    assert f"jobkeep run --from-file {file} --request-id r prints those ids again and goes on with the rest" in done.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["true"], "either a command or --from-file"),
        (["--key", "k"], "--key names one job"),
        (["--delay", "5s", "--at", "18:00"], "either --delay or --at"),
        (["--request-id", "r" * 101], "at most 100 characters"),
    ],
)
def test_what_makes_no_sense_for_many_is_refused(
    jobkeep: Jobkeep, taking: FakeDaemon, tmp_path: Path, words: list[str], why: str
) -> None:
    """Exit code 2."""
    done = jobkeep("run", "--from-file", write(tmp_path / "f", job()), *words)
    assert (done.code, why in done.err, taking.called("SubmitMany")) == (2, True, [])


def test_an_empty_file_is_no_error(jobkeep: Jobkeep, taking: FakeDaemon, tmp_path: Path) -> None:
    """But it is said."""
    done = jobkeep("run", "--from-file", write(tmp_path / "f", "", " "))
    assert (done.code, done.out, "has no lines" in done.err) == (0, "", True)
