"""run -d and call -d: what is handed over."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Jobkeep, start
from cli.fake_daemon import FakeDaemon, Fault, Hangup

REPLY = {"id": "k3x9a0b1c2d3e4f5", "state": "queued", "created": True}


@pytest.fixture
def submitted(daemon: FakeDaemon) -> list[dict[str, Any]]:
    """The parameters of every submit."""
    seen: list[dict[str, Any]] = []

    def accept(parameters: dict[str, Any]) -> dict[str, Any]:
        seen.append(parameters)
        return REPLY

    daemon.answers["Submit"] = accept
    return seen


def test_a_detached_run_prints_the_id(jobkeep: Jobkeep, submitted: list[dict[str, Any]]) -> None:
    """Whole, to be passed on; with --json the daemon's answer."""
    assert jobkeep("run", "-d", "true").out == "k3x9a0b1c2d3e4f5\n"
    assert jobkeep("run", "-d", "--json", "true").json == REPLY


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["sleep", "5"], ["sleep", "5"]),
        (["--", "sleep", "-5", "--json"], ["sleep", "-5", "--json"]),
        (["ls", "-d", "--help", "--", "x"], ["ls", "-d", "--help", "--", "x"]),
        (["--name", "n", "sh", "-c", "exit 3"], ["sh", "-c", "exit 3"]),
        (["--name=n", "--", "-odd"], ["-odd"]),
        (["--", "--", "x"], ["--", "x"]),
    ],
)
def test_words_of_the_command_are_not_read(
    jobkeep: Jobkeep, submitted: list[dict[str, Any]], words: list[str], command: list[str]
) -> None:
    """From the first word that is no option of ours, everything is the command's."""
    assert jobkeep("run", "-d", *words).code == 0
    assert submitted[0]["spec"]["command"] == command


def test_options_become_the_spec(jobkeep: Jobkeep, submitted: list[dict[str, Any]], tmp_path: Path) -> None:
    """Durations as seconds, repeated options as objects; nothing is sent that was not asked for."""
    jobkeep(
        "run", "-d", "--name", "n", "--queue", "io", "--label", "a=b", "--label", "c=", "--key", "k",
        "--on-conflict", "return", "--priority", "-5", "--timeout", "2h", "--grace", "10", "--on-lost", "resume",
        "--retries", "3", "--backoff", "30s", "--cwd", str(tmp_path), "--env", "X=1=2", "--request-id", "r1", "true",
    )  # fmt: skip
    [sent] = submitted
    spec = sent["spec"]

    assert (sent["request_id"], sent["on_conflict"]) == ("r1", "return")
    assert spec.pop("environment")
    assert spec.pop("umask") == _umask()
    assert spec == {
        "command": ["true"], "name": "n", "queue": "io", "labels": {"a": "b", "c": ""}, "key": "k", "priority": -5,
        "timeout_s": 7200.0, "grace_s": 10.0, "on_lost": "resume", "retries": 3, "backoff_s": 30.0,
        "cwd": str(tmp_path), "env": {"X": "1=2"},
    }  # fmt: skip


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_the_job_gets_our_directory_and_environment(
    jobkeep: Jobkeep, submitted: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """But none of what belongs to this process alone."""
    monkeypatch.chdir(tmp_path)
    for name in ("MINE", "JOBKEEP_RUN", "NOTIFY_SOCKET", "LISTEN_FDS"):
        monkeypatch.setenv(name, "x")
    jobkeep("run", "-d", "true")
    spec = submitted[0]["spec"]

    assert spec["cwd"] == str(tmp_path)
    assert spec["environment"]["MINE"] == "x"
    assert not {"JOBKEEP_RUN", "JOBKEEP_SOCKET", "NOTIFY_SOCKET", "LISTEN_FDS"} & spec["environment"].keys()


def test_a_call_carries_its_arguments(jobkeep: Jobkeep, submitted: list[dict[str, Any]]) -> None:
    """KEY=VALUE wins over --args, and options may stand among them."""
    jobkeep("call", "m.n:f", "path=leads.csv", "-d", "limit=5", "--args", '{"limit": 1, "dry": true}')
    spec = submitted[0]["spec"]

    assert spec["function"] == "m.n:f"
    assert spec["arguments"] == {"path": "leads.csv", "limit": 5, "dry": True}
    assert "command" not in spec


def test_the_interpreter_is_the_nearest_one(
    jobkeep: Jobkeep, submitted: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--python, else $VIRTUAL_ENV, else .venv of the job's directory, else the one that runs jobkeep."""
    for folder in ("v", ".venv"):
        (tmp_path / folder / "bin").mkdir(parents=True)
        (tmp_path / folder / "bin/python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    jobkeep("call", "-d", "m:f", "--cwd", "/")
    jobkeep("call", "-d", "m:f")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "v"))
    jobkeep("call", "-d", "m:f")
    jobkeep("call", "-d", "m:f", "--python", "v/bin/python")
    monkeypatch.setenv("PATH", str(tmp_path / ".venv/bin"))
    jobkeep("call", "-d", "m:f", "--python", "python")

    assert [sent["spec"]["python"] for sent in submitted] == [
        sys.executable,
        f"{tmp_path}/.venv/bin/python",
        f"{tmp_path}/v/bin/python",
        f"{tmp_path}/v/bin/python",
        f"{tmp_path}/.venv/bin/python",
    ]


def test_a_lost_submit_is_sent_again_with_the_same_id(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Nobody gets two jobs for one command line."""
    breaks = iter([Hangup(), Fault("org.jobkeep.Admin.ShuttingDown", message="ending"), None])

    def answer(_: object) -> dict[str, Any]:
        if broken := next(breaks):
            raise broken
        return REPLY

    daemon.answers["Submit"] = answer
    done = jobkeep("run", "-d", "true")
    ids = [sent["request_id"] for sent in daemon.called("Submit")]

    assert done.out == "k3x9a0b1c2d3e4f5\n"
    assert len(ids) == 3
    assert len(set(ids)) == 1


def test_a_job_that_was_there_is_named_on_stderr(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Its id is the answer all the same."""
    daemon.answers["Submit"] = {**REPLY, "state": "running", "created": False}

    done = jobkeep("run", "-d", "--key", "k", "--on-conflict", "return", "true")

    assert (done.code, done.out) == (0, "k3x9a0b1c2d3e4f5\n")
    assert done.err == "jobkeep: this job was there already, running\n"


def test_a_key_conflict_is_exit_code_5(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """The hint leads to the job that has the key."""

    def refuse(_: object) -> None:
        raise Fault("KeyConflict", message="job k9 has the key x", key="x", id="k9", state="running", since_s=5.0)

    daemon.answers["Submit"] = refuse
    done = jobkeep("run", "-d", "--key", "x", "true")

    assert done.code == 5
    assert "hint: jobkeep show k9" in done.err


def test_arguments_come_from_a_file_or_from_stdin(
    jobkeep: Jobkeep, submitted: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--args @FILE and --args -."""
    file = tmp_path / "a.json"
    file.write_text('{"name": "é"}', encoding="utf-8")
    jobkeep("call", "-d", "m:f", "--args", f"@{file}")
    with file.open(encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        jobkeep("call", "-d", "m:f", "--args", "-", "n=1")
    done = jobkeep("call", "-d", "m:f", "--args", f"@{file}x")

    assert [sent["spec"]["arguments"] for sent in submitted] == [{"name": "é"}, {"name": "é", "n": 1}]
    assert (done.code, "No such file" in done.err) == (2, True)


@pytest.mark.parametrize(("content", "told"), [(b"x\n", True), (b"", False), (None, False)])
@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_input_that_the_command_will_not_get_is_told(
    submitted: list[dict[str, Any]], tmp_path: Path, kind: str, content: bytes | None, told: bool
) -> None:
    """If there is any: a file or a pipe with content, but not /dev/null."""
    if content is None:
        stdin = os.open(os.devnull, os.O_RDONLY)
    elif kind == "file":
        (tmp_path / "in").write_bytes(content)
        stdin = os.open(tmp_path / "in", os.O_RDONLY)
    else:
        stdin, end = os.pipe()
        os.write(end, content)
        os.close(end)
    _, err = start("run", "-d", "cat", stdin=stdin).communicate(timeout=20)
    os.close(stdin)

    assert (b"/dev/null" in err) == told
    assert len(err.splitlines()) == told
