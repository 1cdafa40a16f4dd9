"""Schedules of the configuration: what is wrong with them is told at the start, and what they submit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobkeepd import assembly
from jobkeepd.config import Config, load
from jobkeepd.core.secrets import decoded
from jobkeepd.errors import BadConfig
from jobkeepd.reloading import differences
from jobkeepd.values import HIDDEN, flat

SECRET = b"s" * 32
HIDES = """[schedules.nightly]
cron = "0 2 * * *"
function = "a:b"
arguments = {pin = "4711", path = "a.csv"}
env = {TOKEN = "hunter2", LEVEL = "9"}
secrets = ["TOKEN", "pin"]
credentials = ["api"]
nice = 5
memory = "2G"
cpu = 1.5
nofile = 64
"""
NIGHTLY = '[schedules.nightly]\ncron = "0 2 * * *"\ncommand = ["./backup.sh"]\n'


def loaded(folder: Path, text: str, **environ: str) -> Config:
    (folder / "c.toml").write_text(text, encoding="utf-8")
    return load(folder / "c.toml", {"XDG_STATE_HOME": "/var/lib/u", **environ}, cpus=4, uid=1000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[schedules.nightly]\ncommand = ['true']", "[schedules.nightly] cron: '' has not five fields"),
        ("[schedules.nightly]\ncron = '0 2 * * *'", "[schedules.nightly] command: neither a command nor a function"),
        (NIGHTLY.replace("0 2", "61 2"), "[schedules.nightly] cron: '61 2 * * *' is no cron expression"),
        (NIGHTLY.replace("0 2 * * *", "0 2 30 2 *"), "[schedules.nightly] cron: "),
        (NIGHTLY.replace("0 2 * * *", "@nightly"), "'@nightly' is none of @hourly, @daily, "),
        (NIGHTLY + 'timezone = "Mars/Here"', "[schedules.nightly] timezone: 'Mars/Here' is no time zone"),
        (NIGHTLY + 'timezone = "../etc/passwd"', "is no time zone of this host"),
        (NIGHTLY + 'queue = "disk"', "[schedules.nightly] queue: there is no queue 'disk'; there are default"),
        (NIGHTLY + 'function = "a:b"', "both a command and a function"),
        (NIGHTLY + 'arguments = {a = 1}', "a command takes no arguments"),
        (NIGHTLY.replace('["./backup.sh"]', '"./backup.sh a,b"'), "[schedules.nightly] command = "),
        (NIGHTLY.replace('["./backup.sh"]', '[""]'), "the command has no name"),
        (NIGHTLY + 'cwd = "tmp"', "[schedules.nightly] cwd: cwd is an absolute path"),
        (NIGHTLY + 'env = {"a=b" = "c"}', "cannot be the name of a variable"),
        (NIGHTLY + 'on_conflict = "cancel_running"', "[schedules.nightly] on_conflict: "),
        (NIGHTLY + 'missed = "often"', "[schedules.nightly] missed = 'often'"),
        (NIGHTLY + 'timeout = "soon"', "[schedules.nightly] timeout = 'soon'"),
        (NIGHTLY + "colour = 1", "colour: unknown key"),
        (NIGHTLY + 'memory = "64K"', "[schedules.nightly] memory = '64K'"),
        (NIGHTLY + "nice = 20", "[schedules.nightly] nice = 20"),
        (NIGHTLY + "cpu = 0", "[schedules.nightly] cpu = 0"),
        (NIGHTLY + "nofile = 1", "[schedules.nightly] nofile = 1"),
        (NIGHTLY + 'credentials = ["../x"]', "[schedules.nightly] credentials = "),
        (NIGHTLY + 'secrets = ["TOKEN"]', "[schedules.nightly] secrets: TOKEN is said to be secret"),
        (NIGHTLY.replace("nightly", '"a b"'), "is no name for a schedule"),
    ],
)
def test_a_schedule_that_could_not_be_kept_is_told(tmp_path: Path, text: str, said: str) -> None:
    """When the daemon starts, and not at two in the night."""
    with pytest.raises(BadConfig) as caught:
        loaded(tmp_path, text)
    assert said in "; ".join(caught.value.problems)


def test_all_that_is_wrong_with_schedules_is_told_at_once(tmp_path: Path) -> None:
    """Of each schedule, and of each of its keys."""
    text = NIGHTLY.replace("0 2", "x 2") + 'timezone = "x"\nqueue = "x"\ncwd = "x"\n[schedules.other]\n'
    with pytest.raises(BadConfig) as caught:
        loaded(tmp_path, text)
    assert len(caught.value.problems) == 6


def test_what_it_submits_is_what_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the lasting part of the daemon's environment, and durations as in the rest of the file."""
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setenv("WINDOWID", "7")
    more = 'timeout = "2h"\nstall_after = "0s"\nkey = "k"\non_conflict = "queue"\nlabels = {client = "acme"}'
    variables = {"JOBKEEP_SCHEDULES_NIGHTLY_GRACE": "1m", "JOBKEEP_SCHEDULES_NIGHTLY_RETRIES": "2"}
    config = loaded(tmp_path, NIGHTLY + more, **variables)
    made = assembly.schedules(config, SECRET)
    terms = made.terms["nightly"]
    spec = terms.spec
    assert (terms.cron, terms.timezone, terms.missed, terms.on_conflict) == ("0 2 * * *", "UTC", "run_once", "queue")
    assert (spec.command, spec.timeout_s, spec.stall_after_s, spec.grace_s) == (["./backup.sh"], 7200.0, 0.0, 60.0)
    assert (spec.key, spec.retries, spec.labels, spec.backoff_s) == ("k", 2, {"client": "acme"}, 1.0)
    assert terms.configured
    ((hash, environment),) = made.environments
    assert terms.environment == hash
    assert b'"PATH":"/bin"' in environment
    assert b"WINDOWID" not in environment


def test_it_says_what_its_jobs_may_take_and_which_files_of_the_daemon_they_have(tmp_path: Path) -> None:
    """As `jobkeep run` has it, with sizes as people write them, also in a variable."""
    spec = assembly.schedules(loaded(tmp_path, HIDES), SECRET).terms["nightly"].spec
    assert (spec.nice, spec.memory_bytes, spec.cpu, spec.nofile, spec.credentials) == (5, 2 << 30, 1.5, 64, ["api"])
    more = {"JOBKEEP_SCHEDULES_NIGHTLY_MEMORY": "512M", "JOBKEEP_SCHEDULES_NIGHTLY_CREDENTIALS": "a, b"}
    spec = assembly.schedules(loaded(tmp_path, HIDES, **more), SECRET).terms["nightly"].spec
    assert (spec.memory_bytes, spec.credentials) == (512 << 20, ["a", "b"])


def test_its_secrets_are_kept_apart_and_are_no_change_at_the_next_start(tmp_path: Path) -> None:
    """Out of the spec that anybody sees, under a name that only this state directory can tell of them."""
    made = assembly.schedules(loaded(tmp_path, HIDES), SECRET)
    terms = made.terms["nightly"]
    assert (terms.spec.env, terms.spec.arguments) == ({"LEVEL": "9"}, {"path": "a.csv"})
    ((name, data),) = made.environments
    assert name == terms.environment
    kept = decoded(data)
    assert (kept.variables, kept.arguments) == ({"TOKEN": "hunter2"}, {"pin": "4711"})

    assert assembly.schedules(loaded(tmp_path, HIDES), SECRET).terms == made.terms
    assert assembly.schedules(loaded(tmp_path, HIDES), b"t" * 32).terms["nightly"].environment != name
    other = assembly.schedules(loaded(tmp_path, HIDES.replace("hunter2", "hunter3")), SECRET)
    assert other.terms["nightly"].environment != name


def test_nothing_that_tells_of_the_configuration_tells_its_secrets(tmp_path: Path) -> None:
    """check-config, a reload and the problems name keys, and none of the values."""
    before = loaded(tmp_path, HIDES)
    shown = {".".join(place): value for place, value in flat(before)}
    assert shown["schedules.nightly.arguments"] == {"pin": HIDDEN, "path": "a.csv"}
    changed, _ = differences(before, loaded(tmp_path, HIDES.replace("4711", "4712").replace("hunter2", "hunter3")))
    assert {each.key for each in changed} == {"schedules.nightly.env", "schedules.nightly.arguments"}
    assert not re.search("471|hunter", str(changed))

    broken = HIDES.replace('LEVEL = "9"', "LEVEL = 9").replace("arguments = {", "arguments = [{").replace(
        '.csv"}', '.csv"}]')
    with pytest.raises(BadConfig) as caught:
        loaded(tmp_path, broken, JOBKEEP_SCHEDULES_OTHER_ENV='{A = "hunter4", B = 1}')
    told = "; ".join(caught.value.problems)
    assert "[schedules.nightly] arguments = …" in told
    assert "[schedules.nightly] env = …" in told
    assert "JOBKEEP_SCHEDULES_OTHER_ENV = …" in told
    assert not re.search("4711|hunter", told)


def test_a_slip_of_the_pen_is_told_once_and_with_what_was_meant(tmp_path: Path) -> None:
    """A value that is wrong is not missing as well."""
    text = '[quues.io]\nlimit = 1\n[daemon]\nlog_levl = "info"\n' + NIGHTLY.replace('["./backup.sh"]', '"./backup.sh"')
    with pytest.raises(BadConfig) as caught:
        loaded(tmp_path, text)
    quues, log_levl, command = caught.value.problems

    assert "did you mean queues?" in quues
    assert "did you mean log_level?" in log_levl
    assert command.startswith("[schedules.nightly] command = ")
