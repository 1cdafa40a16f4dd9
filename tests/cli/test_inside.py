"""`jobkeep progress` and `jobkeep checkpoint`: what a shell script says of the job that it is."""

from __future__ import annotations

import json

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault

OWN = {"run": "k3x9.2", "cookie": "secret"}


@pytest.fixture(autouse=True)
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("JOB", "k3x9"), ("RUN", "2"), ("COOKIE", "secret")):
        monkeypatch.setenv(f"JOBKEEP_{name}", value)


@pytest.mark.parametrize("line", [["progress", "1"], ["checkpoint", "get"], ["checkpoint", "set", "1"]])
def test_outside_of_a_job_it_is_a_mistake_that_says_what_it_is_for(
    jobkeep: Jobkeep, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, line: list[str]
) -> None:
    """Nobody is asked."""
    monkeypatch.delenv("JOBKEEP_RUN")
    done = jobkeep(*line)

    assert (done.code, done.out, daemon.calls) == (2, "", [])
    assert "is for the inside of a job" in done.err
    assert "hint: jobkeep run -- SCRIPT" in done.err


def test_progress_tells_the_run_and_its_proof(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """What is not given is not said."""
    daemon.answers["Progress"] = {}
    assert jobkeep("progress", "3", "10", "--note", "third file").code == 0
    assert jobkeep("progress", "4").code == 0

    assert daemon.called("Progress") == [{**OWN, "done": 3, "total": 10, "note": "third file"}, {**OWN, "done": 4}]


def test_progress_never_ends_a_script_since_the_daemon_is_away(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """It says that it could not report, and succeeds at once."""
    daemon.close()
    done = jobkeep("progress", "3")

    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("jobkeep: not reported: ")


def test_a_run_that_is_over_is_told_so(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Its script must not go on as if it were the job."""
    def over(_: object) -> None:
        raise Fault("org.jobkeep.Run.NotThisRun", message="run k3x9.2 is not under way", run="k3x9.2")

    daemon.answers.update(Progress=over, SaveCheckpoint=over)
    for line in (["progress", "3"], ["checkpoint", "set", "3"]):
        done = jobkeep(*line)
        assert (done.code, done.out) == (5, "")
        assert "run k3x9.2 is not under way" in done.err


def test_what_was_saved_is_printed_as_json(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """A default stands for nothing, not for a saved null."""
    daemon.answers["LoadCheckpoint"] = {"seq": 3, "state": {"page": 4}}
    assert jobkeep("checkpoint", "get", "--default", "0").out == '{"page":4}\n'
    assert json.loads(jobkeep("checkpoint", "--json").out) == {"seq": 3, "state": {"page": 4}}
    daemon.answers["LoadCheckpoint"] = {"seq": 1, "state": None}
    assert jobkeep("checkpoint", "get", "--default", "0").out == "null\n"
    daemon.answers["LoadCheckpoint"] = {"seq": 0, "state": None}
    assert jobkeep("checkpoint", "get", "--default", "0").out == "0\n"
    assert jobkeep("checkpoint").out == "null\n"


@pytest.mark.parametrize(("text", "state"), [("17", 17), ("-5", -5), ("[1]", [1]), ('"x"', "x"), ("null", None)])
def test_any_json_value_is_saved(jobkeep: Jobkeep, daemon: FakeDaemon, text: str, state: object) -> None:
    """Nothing is printed."""
    daemon.answers["SaveCheckpoint"] = {}
    done = jobkeep("checkpoint", "set", text)

    assert (done.code, done.out, done.err) == (0, "", "")
    (said,) = daemon.called("SaveCheckpoint")
    assert {"state": None} | said == {**OWN, "state": state}  # null may be left out


@pytest.mark.parametrize("text", ["", "x", "{", "NaN", "Infinity", "1e999", "'1'"])
def test_what_is_not_json_is_not_saved(jobkeep: Jobkeep, daemon: FakeDaemon, text: str) -> None:
    """It says what is expected."""
    done = jobkeep("checkpoint", "set", "--", text)

    assert (done.code, daemon.calls) == (2, [])
    assert "is not JSON" in done.err
    assert "Traceback" not in done.err


def test_a_checkpoint_waits_for_a_daemon_that_restarts(
    jobkeep: Jobkeep, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second attempt finds one."""
    daemon.close()
    restarted: list[FakeDaemon] = []

    def restart(_: float) -> None:
        if not restarted:
            restarted.append(FakeDaemon(daemon.path + ".new"))
            restarted[0].answers["SaveCheckpoint"] = {}
            monkeypatch.setenv("JOBKEEP_SOCKET", restarted[0].path)

    monkeypatch.setattr("jobkeep.cli.inside.time.sleep", restart)
    try:
        assert jobkeep("checkpoint", "set", "7").code == 0
        assert restarted[0].called("SaveCheckpoint") == [{**OWN, "state": 7}]
    finally:
        for each in restarted:
            each.close()


def test_a_daemon_that_stays_away_is_told_in_time(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Nothing was saved, and the script can see it."""
    daemon.close()
    done = jobkeep("checkpoint", "set", "7", "--timeout", "0.1s")

    assert done.code == 4
    assert "hint: " in done.err
