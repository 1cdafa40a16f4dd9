"""run -d and call -d: what is handed over."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Jobkeep, start
from cli.fake_daemon import FakeDaemon, Fault, Hangup, job

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
        "--on-conflict", "return", "--priority", "-5", "--after", "p1,p2", "--after", "p3", "--after-label", "b=7",
        "--after-any-end", "--timeout", "2h", "--grace", "10", "--on-lost", "resume",
        "--retries", "3", "--backoff", "30s", "--cwd", str(tmp_path), "--env", "X=1=2", "--request-id", "r1",
        "--nice", "-5", "--memory", "1.5G", "--cpu", "0.5", "--nofile", "4096", "true",
    )  # fmt: skip
    [sent] = submitted
    spec = sent["spec"]

    assert (sent["request_id"], sent["on_conflict"]) == ("r1", "return")
    assert spec.pop("environment")
    assert spec.pop("umask") == _umask()
    assert spec == {
        "command": ["true"], "name": "n", "queue": "io", "labels": {"a": "b", "c": ""}, "key": "k", "priority": -5,
        "after": ["p1", "p2", "p3"], "after_label": {"b": "7"}, "after_any_end": True,
        "timeout_s": 7200.0, "grace_s": 10.0, "on_lost": "resume", "retries": 3, "backoff_s": 30.0,
        "cwd": str(tmp_path), "env": {"X": "1=2"},
        "nice": -5, "memory_bytes": 3 << 29, "cpu": 0.5, "nofile": 4096,
    }  # fmt: skip


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_when_a_job_is_due_is_a_moment_or_a_delay(jobkeep: Jobkeep, submitted: list[dict[str, Any]]) -> None:
    """Both at once are a mistake, and nothing is sent."""
    jobkeep("run", "-d", "--delay", "10m", "true")
    jobkeep("run", "-d", "--at", "2030-01-31T18:00+01:00", "true")
    both = jobkeep("run", "-d", "--at", "2030-01-31", "--delay", "5", "true")

    assert [sent["spec"].get("delay_s") for sent in submitted] == [600.0, None]
    assert [sent["spec"].get("at") for sent in submitted] == [None, "2030-01-31T17:00:00Z"]
    assert both.code == 2
    assert "not both" in both.err


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
    assert "hint: nothing was submitted; jobkeep show k9" in done.err


def test_who_submits_a_job_that_has_to_wait_is_told_for_whom(
    jobkeep: Jobkeep, daemon: FakeDaemon, submitted: list[dict[str, Any]]
) -> None:
    """Beside the id, for people. A daemon that cannot say so has taken the job all the same."""
    reasons = [{"kind": "lock", "text": "it waits for lock crm, held by job k9"}, {"kind": "limit", "text": "full"}]
    daemon.answers["Explain"] = lambda _: {"id": REPLY["id"], "state": "queued", "reasons": reasons, "actions": {}}
    done = jobkeep("run", "-d", "--lock", "crm", "true")
    assert (done.code, done.out) == (0, f"{REPLY['id']}\n")
    assert done.err == "jobkeep: it waits for lock crm, held by job k9\n"
    assert jobkeep("run", "-d", "-q", "--lock", "crm", "true").err == ""
    assert jobkeep("run", "-d", "true").err == ""

    def refuse(_: object) -> None:
        raise Fault("Internal", message="no")

    daemon.answers["Explain"] = refuse
    done = jobkeep("run", "-d", "--lock", "crm", "true")
    assert (done.code, done.out, done.err) == (0, f"{REPLY['id']}\n", "")


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
    _, err = start("run", "-d", "cat", stdin=stdin).communicate(timeout=120)
    os.close(stdin)

    assert (b"/dev/null" in err) == told
    assert len(err.splitlines()) == told


def test_what_comes_to_nothing_is_told(
    jobkeep: Jobkeep, daemon: FakeDaemon, submitted: list[dict[str, Any]]
) -> None:
    """A moment that is past, and a label that no live job has: on stderr, and the job is submitted all the same."""
    daemon.answers["List"] = {"jobs": []}
    past = jobkeep("run", "-d", "--at", "2020-01-01T00:00Z", "true")
    none = jobkeep("run", "-d", "--after-label", "a=b", "true")
    daemon.answers["List"] = {"jobs": [job()]}
    some = jobkeep("run", "-d", "--after-label", "a=b", "--at", "2080-01-01", "true")

    assert "jobkeep: --at 2020-01-01T00:00:00Z was " in past.err
    assert none.err == "jobkeep: --after-label: no live job has a=b: nothing is waited for\n"
    assert some.err == ""
    assert len(submitted) == 3
    assert daemon.called("List")[0]["label"] == {"a": "b"}


def test_a_second_lock_is_refused(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """To take the last one silently would leave what the first was to protect unprotected."""
    done = jobkeep("run", "--lock", "a", "--lock", "b", "true")

    assert (done.code, done.err.splitlines()[0]) == (2, "jobkeep: a job has one lock, not a and b")
    assert daemon.calls == []


def test_help_of_a_command_is_had_in_either_order(jobkeep: Jobkeep) -> None:
    """`help run` is `run --help`, also of commands of two words."""
    assert jobkeep("help", "run").out == jobkeep("run", "--help").out
    assert jobkeep("help", "lock", "ls").out == jobkeep("lock", "ls", "--help").out
