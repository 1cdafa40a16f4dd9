"""What can be configured, and that no mistake in it ends in a traceback."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from jobkeepd import config
from jobkeepd.config import Config, DaemonSettings, load
from jobkeepd.errors import BadConfig
from jobkeepd.rpc.settings import AccessSettings
from jobkeepd.runner.settings import DaskSettings, WorkerSettings
from jobkeepd.supervisor.settings import (
    CleanupSettings,
    FamilySettings,
    JobSettings,
    LimitSettings,
    LockSettings,
    LogSettings,
    QueueSettings,
    RecoverySettings,
    RetentionSettings,
    ScheduleSettings,
    SessionSettings,
)

EXAMPLE = Path(__file__).resolve().parents[2] / "config.toml"
SECTIONS: dict[str, type[Struct]] = {
    "daemon": DaemonSettings, "jobs": JobSettings, "locks": LockSettings, "recovery": RecoverySettings,
    "access": AccessSettings, "retention": RetentionSettings, "logs": LogSettings,
    "cleanup": CleanupSettings, "workers": WorkerSettings,
    "queues.default": QueueSettings, "families.browser": FamilySettings, "sessions.browser": SessionSettings,
    "limits.client": LimitSettings, "schedules.nightly": ScheduleSettings, "dask.lab": DaskSettings,
}  # fmt: skip
HOME = {"XDG_STATE_HOME": "/var/lib/u", "XDG_RUNTIME_DIR": "/run/u"}


def loaded(folder: Path, text: str, **environ: str) -> Config:
    path = folder / "c.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {**HOME, **environ}, cpus=4, uid=1000)


def problems(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        loaded(folder, text, **environ)
    return caught.value.problems


@pytest.mark.parametrize("environ", [{}, {"JOBKEEP_QUEUES_DEFAULT_LIMIT": "3", "JOBKEEP_DAEMON_LOG_LEVEL": "info"}])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("queues = 3", "[queues]: "),
        ("daemon = 1", "[daemon]: "),
        ("[queues]\ndefault = 4", "[queues.default]: "),
        ("[queues]\nother = 4", "[queues.other]: "),
        ("jobs = []", "[jobs]: "),
    ],
)
def test_a_value_in_place_of_a_table_is_told(tmp_path: Path, text: str, said: str, environ: dict[str, str]) -> None:
    """Also when a variable would set a key in there."""
    assert [problem.startswith(said) for problem in problems(tmp_path, text, **environ)] == [True]


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\\nb", "q" * 129])
def test_a_queue_that_no_job_could_name_is_refused(tmp_path: Path, name: str) -> None:
    """Names of queues are as on the wire."""
    assert "is no name for a queue" in problems(tmp_path, f'[queues."{name}"]\nlimit = 1')[0]


def test_a_variable_that_names_no_queue_is_told(tmp_path: Path) -> None:
    """By its own name: nobody looks for it in the file."""
    assert "JOBKEEP_QUEUES_LIMIT" in problems(tmp_path, "", JOBKEEP_QUEUES_LIMIT="3")[0]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """One round trip per mistake would be tiresome."""
    text = 'unknown = 1\n[jobs]\ngrace = "soon"\nlate_after = true\ncolour = 1\n[queues.a]\n[queues.b]\nlimit = 0'
    told = problems(tmp_path, text, JOBKEEP_WORKERS_COLOUR="red")
    for words in ("[unknown]", "grace", "late_after", "colour", "[queues.a] limit", "[queues.b] limit", "_COLOUR"):
        assert any(words in problem for problem in told), words


@pytest.mark.parametrize(
    "content",
    [b"a = " + b"[" * 5000, b"a = " + b"9" * 5000, b"\xff", b"a =", b"[jobs]\ngrace = 1" + b"0" * 400],
    ids=["deep", "long number", "no UTF-8", "cut off", "large number"],
)
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, content: bytes) -> None:
    """Whatever the parser makes of it."""
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(BadConfig):
        load(tmp_path / "c.toml", HOME, 4, 1000)


@pytest.mark.parametrize("key", ["socket", "state_dir", "runtime_dir"])
def test_a_path_that_no_file_can_have_is_told(tmp_path: Path, key: str) -> None:
    """The kernel's calls would refuse it one by one, with errors of their own."""
    assert f"[daemon] {key}" in problems(tmp_path, f'[daemon]\n{key} = "/a\\u0000b"')[0]


BROWSER = '[sessions.browser]\ncommand = ["chromedriver"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sessions.browser]", "[sessions.browser] command: is missing"),
        ("[sessions.browser]\ncommand = []", "[sessions.browser] command = []"),
        ('[sessions.browser]\ncommand = [""]', "[sessions.browser] command: it has no name"),
        ('[sessions."a b"]\ncommand = ["true"]', "is no name for a session"),
        (f'[sessions.{"x" * 121}]\ncommand = ["true"]', "the name is longer than"),
        (BROWSER + "colour = 1", "colour: unknown key"),
        (BROWSER + "health = {}", "exactly one of http, tcp, command, varlink, output is needed"),
        (BROWSER + 'health = {tcp = "a:1", http = "http://a"}', "exactly one of"),
        (BROWSER + 'health = {http = "https://a/"}', "is not an address like http://"),
        (BROWSER + 'health = {http = "http://a:99999/"}', "health"),
        (BROWSER + 'health = {tcp = "localhost"}', "is not HOST:PORT"),
        (BROWSER + "health = {tcp = 70000}", "70000 is not HOST:PORT"),
        (BROWSER + 'health = {varlink = "run/socket"}', "is not an absolute path"),
        (BROWSER + "health = {command = []}", "the command has no name"),
        (BROWSER + 'ready = {output = "("}', "is no regular expression"),
        (BROWSER + 'cwd = "tmp"', "an absolute path is expected"),
        (BROWSER + 'env = {"a=b" = "c"}', "the name of a variable"),
        (BROWSER + 'start_timeout = "0s"', "start_timeout"),
        ("[queues.sessions]\nlimit = 1", "this queue is that of the sessions"),
    ],
)
def test_a_session_that_could_not_be_had_is_told(tmp_path: Path, text: str, said: str) -> None:
    """When the daemon starts, and not when somebody opens it."""
    assert said in "; ".join(problems(tmp_path, text))


def test_a_session_may_come_from_the_environment_alone(tmp_path: Path) -> None:
    """Lists and tables are written as in the file; keys have underscores, too."""
    variables = {
        "JOBKEEP_SESSIONS_BROWSER_COMMAND": '["driver", "--port=9"]',
        "JOBKEEP_SESSIONS_BROWSER_HEALTH": '{tcp = "127.0.0.1:9"}',
        "JOBKEEP_SESSIONS_BROWSER_HEALTH_TIMEOUT": "2s",
    }
    browser = loaded(tmp_path, "", **variables).sessions["browser"]
    assert browser.command == ("driver", "--port=9")
    assert browser.health is not None
    assert (browser.health.tcp, browser.health_timeout) == ("127.0.0.1:9", 2.0)


def test_a_relative_path_in_a_folder_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing that it could be relative to."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "[daemon] state_dir" in problems(tmp_path, '[daemon]\nstate_dir = "state"')[0]


def test_the_example_has_the_defaults(tmp_path: Path) -> None:
    """Whoever copies it changes nothing."""
    assert loaded(tmp_path, EXAMPLE.read_text(encoding="utf-8")) == load(None, HOME, 4, 1000)


@pytest.mark.parametrize(
    ("section", "key"), [(section, key) for section, kind in SECTIONS.items() for key in kind.__struct_fields__]
)
def test_the_example_has_every_key(section: str, key: str) -> None:
    """In its section, behind a comment that says what it is for."""
    text = EXAMPLE.read_text(encoding="utf-8")
    parts = re.split(r"^(?:# )?\[([a-z.]+)\]$", text, flags=re.MULTILINE)
    body = dict(zip(parts[1::2], parts[2::2], strict=True))[section]
    assert re.search(rf"^# [^\n]+\n(?:# )?{key} = ", body, flags=re.MULTILINE)


def test_the_example_has_no_other_key() -> None:
    """Those that are commented out count, too."""
    given = re.compile(r'^# (\[[a-z.]+\]|[a-z_]+ = (?:\S+|"[\d* ]+"))$', flags=re.MULTILINE)
    text = given.sub(r"\1", EXAMPLE.read_text(encoding="utf-8"))
    found = tomllib.loads(text)
    for section, name in (
        ("queues", "default"), ("families", "browser"), ("sessions", "browser"), ("limits", "client"),
        ("schedules", "nightly"), ("dask", "lab"),
    ):  # fmt: skip
        found[f"{section}.{name}"] = found.pop(section)[name]
    assert {name: set(keys) for name, keys in found.items()} == {
        name: set(kind.__struct_fields__) for name, kind in SECTIONS.items()
    }


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ('match = ["*"]', "matches everything"),
        ('match = ["args:"]', "matches everything"),
        ('match = ["args:.*"]', "matches everything"),
        ("match = []", "at least one pattern"),
        ('match = ["args:("]', "no regular expression"),
        ('match = ["x7q"]\nchild_of = "driver"', "there is no family 'driver'"),
        ('match = ["x7q"]\nchild_of = "browser"', "leads back to"),
    ],
)
def test_a_family_that_may_have_anybody_in_it_is_refused(tmp_path: Path, family: str, said: str) -> None:
    """Its orphans may be ended, so that must not be anything at all."""
    assert [said in problem for problem in problems(tmp_path, f"[families.browser]\n{family}")] == [True]


def test_a_family_with_process_1_in_it_is_refused(tmp_path: Path) -> None:
    """Whatever that is called on this host."""
    name = Path("/proc/1/comm").read_text(encoding="utf-8").strip()
    (told,) = problems(tmp_path, f'[families.browser]\nmatch = ["{name}"]')
    assert told.startswith(f"[families.browser] match: '{name}' matches process 1")


def test_a_family_may_be_configured_by_variables(tmp_path: Path) -> None:
    """Several patterns are parted by commas."""
    got = loaded(tmp_path, "", JOBKEEP_FAMILIES_WEB_MATCH="x7q,args:--y8q", JOBKEEP_FAMILIES_WEB_MAX_PROCESSES="50")
    assert got.families == {"web": FamilySettings(match=["x7q", "args:--y8q"], max_processes=50)}


@pytest.mark.parametrize("member", ["bob", "user:", "uid:5", "group:a b/c", "user:-x", "user:a,b", "other:x"])
def test_a_member_is_a_user_or_a_group(tmp_path: Path, member: str) -> None:
    """Anything else would be nobody, without a word."""
    (told,) = problems(tmp_path, f'[access]\nsubmitters = ["group:x", "{member}"]')
    assert told.startswith("[access] submitters")


def test_members_may_come_from_the_environment(tmp_path: Path) -> None:
    """Parted by commas; those that are not said are nobody."""
    got = loaded(tmp_path, "", JOBKEEP_ACCESS_OPERATORS="user:bob,group:5")
    assert got.access == AccessSettings([], [], ["user:bob", "group:5"], [])


@pytest.mark.parametrize("schedule", ["every day", "0 25 * * *", "0 2 31 2 *"])
def test_a_schedule_that_never_comes_is_refused(tmp_path: Path, schedule: str) -> None:
    """With the form that is expected."""
    (told,) = problems(tmp_path, f'[cleanup]\nschedule = "{schedule}"')
    assert told.startswith("[cleanup] schedule: ")
    assert "0 2 * * *" in told


FIELDS = {key for kind in SECTIONS.values() for key in kind.__struct_fields__}
KEYS = sorted({"", "default", "other", *SECTIONS, *FIELDS})
NAMES = st.sampled_from(KEYS) | st.text(max_size=5)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400)])
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["1h", "3", "resume", "debug", "/" + "x" * 120, "9" * 500])
    | st.datetimes()
    | st.dates()
    | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
TABLES = st.dictionaries(
    st.sampled_from([name.partition(".")[0] for name in SECTIONS]) | NAMES,
    VALUES | st.dictionaries(NAMES, VALUES),
)
VARIABLES = st.dictionaries(
    st.builds(
        lambda *parts: "_".join(("JOBKEEP", *parts)).upper(),
        st.sampled_from(["daemon", "jobs", "locks", "cleanup", "workers", "queues", "families", "sessions"]) | NAMES,
        NAMES,
        NAMES,
    )
    | st.sampled_from(["STATE_DIRECTORY", "RUNTIME_DIRECTORY", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"])
    | st.sampled_from([f"JOBKEEP_{name.upper()}_{key.upper()}" for name in SECTIONS for key in KEYS]),
    st.text(max_size=8)
    | st.sampled_from(["1h", "3", "/a:/b", "x" * 200, "\udcff", "\ud800", '["true"]', '{tcp="a:1"}', "{a="]),
)


@settings(max_examples=100, deadline=None)
@given(TABLES, VARIABLES)
def test_whatever_is_configured_is_a_configuration_or_a_list_of_problems(
    tables: dict[str, Any], variables: dict[str, str]
) -> None:
    """Nothing else comes out, and every problem is text of one line."""
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "read_file", lambda path, problems: copy.deepcopy(tables))
        try:
            got = load(Path("c.toml"), variables, 4, 1000)
        except BadConfig as error:
            told = error.problems
        else:
            told = ["none"]
            paths = (got.daemon.socket, got.daemon.state_dir, got.daemon.runtime_dir)
            assert all(path.startswith("/") for path in paths)
            assert all(queue.limit >= 1 for queue in got.queues.values())
    assert told
    assert all(problem.isprintable() for problem in told)
