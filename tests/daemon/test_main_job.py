"""The main job from the command line: submit, run, look, stop, continue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon

from .conftest import Cli

PATIENCE = "60s"


def test_a_command_runs_and_its_output_and_status_come_through(cli: Cli) -> None:
    """stdout is stdout, stderr is stderr, and the exit status is the command's own."""
    ran = cli("run", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (ran.stdout, ran.returncode) == ("out\n", 7)
    assert ran.stderr.startswith("err\n")


def test_a_signal_is_told_as_shells_tell_it(cli: Cli) -> None:
    """128 + N."""
    assert cli("run", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_a_function_gets_typed_arguments_and_its_result_is_printed_as_json(cli: Cli) -> None:
    """KEY=VALUE is JSON where it parses, and wins over --args."""
    ran = cli("call", "jobs:add", "a=3", "--args", '{"a": 100, "b": 4}')
    assert (ran.stdout, ran.returncode) == ("7\n", 0)


def test_output_of_a_function_goes_to_its_run_alone(cli: Cli) -> None:
    """Two runs of one worker, each with its own output, byte for byte."""
    first, second = (cli("call", "-d", "jobs:shout", f"text={text}").stdout.strip() for text in ("one", "two"))
    assert cli("wait", first, second, "--timeout", PATIENCE).returncode == 0
    for job, text in ((first, "one"), (second, "two")):
        assert cli("logs", job, "--stdout").stdout == f"{text}\n"
        assert cli("logs", job, "--stderr").stderr == f"{text.upper()}\n"


def test_a_silent_run_leaves_no_file_behind(daemon: PrivateDaemon, cli: Cli) -> None:
    """What wrote nothing costs nothing."""
    cli("run", "--", "true")
    assert list((daemon.home / "state/logs/runs").iterdir()) == []


def test_cancel_ends_a_command_and_all_its_children(daemon: PrivateDaemon, cli: Cli) -> None:
    """A child that left its session and ignores TERM ends as well."""
    script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; sleep 600' & sleep 600"
    job = cli("run", "-d", "--grace", "0.2s", "--", "sh", "-c", script).stdout.strip()
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        child = int(next(iter(jk.job(job).logs(follow=True))))
        assert cli("cancel", job).returncode == 0
        assert cli("wait", job, "--timeout", PATIENCE).returncode == 1
        assert jk.job(job).info().state == "cancelled"
    assert not Path(f"/proc/{child}").exists()


def test_a_cancelled_batch_resumes_behind_its_checkpoint(daemon: PrivateDaemon, cli: Cli) -> None:
    """No finished item is done twice, none is left out, the tallies are those of one pass."""
    log, gate = daemon.home / "items", daemon.home / "gate"
    arguments = (f"log={log}", "count=40", f"gate={gate}", "stop_at=22")
    job = cli("call", "-d", "jobs:batch", *arguments).stdout.strip()
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        handle = jk.job(job)
        while handle.info().progress.done < 22:
            pass
        cli("cancel", job)
        assert cli("wait", job, "--timeout", PATIENCE).returncode == 1
        gate.touch()
        assert cli("resume", job).returncode == 0
        assert handle.result(timeout=PATIENCE) == {"even": 20, "odd": 16, "failed": 4}
        assert [item.key for item in handle.failed_items()] == ["3", "13", "23", "33"]
    assert sorted(map(int, log.read_text().split())) == list(range(40))


def test_restart_from_the_start_forgets_the_checkpoint(daemon: PrivateDaemon, cli: Cli) -> None:
    """The tallies begin at nothing again; history keeps both runs."""
    log, gate = daemon.home / "items", daemon.home / "gate"
    job = cli("call", "-d", "jobs:batch", f"log={log}", "count=20", f"gate={gate}", "stop_at=12").stdout.strip()
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        while jk.job(job).info().progress.done < 12:
            pass
        assert cli("restart", job, "--from-start").returncode == 0
        gate.touch()
        assert jk.job(job).result(timeout=PATIENCE) == {"even": 10, "odd": 8, "failed": 2}
        assert [run.outcome for run in jk.job(job).info().runs] == ["interrupted", "succeeded"]


def test_failed_items_are_run_again_alone(daemon: PrivateDaemon, cli: Cli) -> None:
    """Those that fail again stay on record; nothing else is touched."""
    log = daemon.home / "items"
    job = cli("call", "-d", "jobs:batch", f"log={log}", "count=20", "gate=/", "stop_at=-1").stdout.strip()
    assert cli("wait", job, "--timeout", PATIENCE).returncode == 0
    log.unlink()
    assert cli("resume", job, "--failed-items").returncode == 0
    assert cli("wait", job, "--timeout", PATIENCE).returncode == 0
    assert log.read_text().split() == ["3", "13"]
    shown = json.loads(cli("--json", "show", job).stdout)
    assert shown["progress"]["tallies"] == {"even": 10, "odd": 8, "failed": 2}


def test_the_documented_views_answer_sql(cli: Cli) -> None:
    """`jobkeep sql`, read-only."""
    cli("run", "--name", "greeting", "--", "true")
    rows = json.loads(cli("--json", "sql", "SELECT name, state FROM job_status").stdout)
    assert rows == [{"name": "greeting", "state": "succeeded"}]
    assert cli("sql", "DELETE FROM job").returncode == 2


def test_a_request_id_gives_one_job_however_often_it_is_sent(cli: Cli) -> None:
    """Also across a restart of the daemon, which the next test does."""
    first, again = (cli("run", "-d", "--request-id", "r1", "--", "true").stdout for _ in range(2))
    assert first == again != ""


@pytest.mark.parametrize("signal", ["kill", "stop"])
def test_a_request_id_holds_across_daemons(daemon: PrivateDaemon, cli: Cli, signal: str) -> None:
    """SIGKILL or a clean end."""
    first = cli("run", "-d", "--request-id", "r2", "--", "true").stdout
    getattr(daemon, signal)()
    daemon.start().close()
    assert cli("run", "-d", "--request-id", "r2", "--", "true").stdout == first != ""


def test_jobs_of_a_queue_that_is_configured_no_more_still_run(daemon: PrivateDaemon) -> None:
    """One by one, rather than never."""
    daemon.stop()
    with PrivateDaemon(daemon.home, JOBKEEP_QUEUES_OLD_LIMIT="1") as jk:
        jk.run(["sleep", "0.2"], queue="old")
        job = jk.run(["true"], queue="old").id
    with daemon.start() as jk:
        assert jk.job(job).result(timeout=PATIENCE) == 0
