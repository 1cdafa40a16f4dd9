"""Completion: what may stand where the cursor is, asked by real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, ended, job
from jobkeep.cli import completing, listing
from jobkeep.cli.completing import KINDS, Declared, candidates

BIN = Path(sys.executable).parent
NAMES = {"locks": ["crm", "crm-sync"], "queues": ["default", "io"], "jobs": ["k3x9a0b1c2d3", "m7aab2c3d4e5"]}


def live(kind: str, socket: str | None) -> list[tuple[str, str]]:
    """Names of a kind, or the kind itself, and the socket it was asked for."""
    return [(name, "") for name in NAMES.get(kind, [f"{kind}@{socket}" if socket else kind])]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ru", "run"),
        ("--json ex", "explain"),
        ("--soc", "--socket"),
        ("--socket ", ":files"),
        ("--socket /x show ", "k3x9a0b1 m7aab2c3"),
        ("--socket /x cancel ", "live@/x"),
        ("cancel --socket=/y ", "live@/y"),
        ("show k3x9a0b1c", "k3x9a0b1c2d3"),
        ("show m", "m7aab2c3"),
        ("cancel ", "live"),
        ("cancel a b ", "live"),
        ("resume ", "stopped"),
        ("restart ", "running"),
        ("run --on-conflict re", "reject return replace-queued"),
        ("run --on-conflict=q", "--on-conflict=queue"),
        ("run --lock cr", "crm crm-sync"),
        ("run -d --queue ", "default io"),
        ("run --after k3x,li", "k3x,live"),
        ("run --after ", "live"),
        ("run --cwd ", ":folders"),
        ("run --cwd=", ":folders"),
        ("run --name ", ""),
        ("run -d ", ":command 3"),
        ("run -- ls ", ":command 3"),
        ("run ls -", ":command 2"),
        ("lock ", "ls show reset run"),
        ("lock show ", "crm crm-sync"),
        ("lock run ", "crm crm-sync"),
        ("lock run crm --wa", "--wait"),
        ("lock run crm --wait 5s -- make al", ":command 7"),
        ("schedule rm ", "schedules"),
        ("schedule add x ", ""),
        ("schedule add nightly '02***' make", ":command 5"),
        ("session open ", "sessions"),
        ("ls --state run", "running"),
        ("ls --state failed,ca", "failed,cancelling failed,cancelled"),
        ("ls --al", "--all"),
        ("call ", ""),
        ("call m:f ", ""),
        ("sql ", ""),
        ("events --after ", ""),
        ("wait -- ", "live"),
        ("completion ", "bash zsh fish"),
        ("daemon check", "check check-config"),
        ("daemon check-config --config ", ":files"),
        ("daemon backup ", ":files"),
        ("nonsense ", ""),
        ("lock nonsense ", ""),
        ("show --bogus ", "k3x9a0b1 m7aab2c3"),
    ],
)
def test_what_may_stand_there(line: str, expected: str) -> None:
    """Commands, parts, options, their values, and names of the kind that fits, asked for where --socket says."""
    assert " ".join(value for value, _ in candidates(line.split(" "), live)) == expected


def test_where_only_options_may_stand_they_are_shown() -> None:
    """Without a dash to ask for them; elsewhere a dash does."""
    assert ("--orphans", "only those that nobody owns any more") in candidates(["ps", ""], live)
    assert ("-f", "go on until interrupted") in candidates(["events", "-"], live)


def test_every_kind_belongs_to_a_declaration() -> None:
    """The table names what commands do declare, so that a renamed option does not lose its names."""
    for key in KINDS:
        command, _, dest = key.rpartition(" ")
        if command.split(" ")[0] not in listing.names():
            continue
        declared = Declared()
        completing._module(command).add_arguments(declared)
        known = {word.dest for word in (*declared.options.values(), *declared.positional)}
        assert dest in known, key


@pytest.fixture
def typing(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> FakeDaemon:
    daemon.answers["List"] = lambda asked: (
        {"jobs": [job(), ended(job__id="m7aab2c3d4e5")]} if "limit" in asked else {"queues": [{"name": "a:b@c"}]}
    )
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    return daemon


def script(jobkeep: Jobkeep, folder: str, shell: str) -> str:
    path = f"{folder}/{shell}"
    Path(path).write_text(jobkeep("completion", shell).out, encoding="utf-8")
    assert jobkeep("completion", shell, "--json").json["shell"] == shell
    return path


def said(*argv: str) -> list[str]:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


PROGRAM = """
complete() { [[ $1 == -o ]] && builtin complete "$@"; }; source "$1"; compopt() { :; }
try() { COMP_LINE=$1; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _jobkeep jobkeep; echo "${COMPREPLY[*]}"; }
try 'jobkeep can' jobkeep can
try 'jobkeep show ' jobkeep show ''
try 'jobkeep ls --state=run' jobkeep ls --state = run
try 'jobkeep ls --state=' jobkeep ls --state =
try 'jobkeep queue pause a:b' jobkeep queue pause a : b
try 'jobkeep run --cwd /us' jobkeep run --cwd /us
try 'jobkeep run -- jobkeep_' jobkeep run -- jobkeep_
_command_offset() { COMPREPLY=("offset $1"); }
try 'jobkeep run --name=x -- ls -' jobkeep run --name = x -- ls -
"""


def test_bash_completes(jobkeep: Jobkeep, typing: FakeDaemon, folder: str) -> None:
    """A real one, that cuts words at = and : as readline does; only what is behind them is put in."""
    jobkeep_ = "jobkeep_() { :; }\n"
    lines = said("bash", "--norc", "-c", jobkeep_ + PROGRAM, "bash", script(jobkeep, folder, "bash"))

    assert lines == [
        "cancel", "k3x9a0b1 m7aab2c3", "running", "queued scheduled running cancelling succeeded failed cancelled",
        "b@c", "/usr", "jobkeep_", "offset 6",
    ]  # fmt: skip


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_completes(jobkeep: Jobkeep, typing: FakeDaemon, folder: str) -> None:
    """The script is loaded by a real one; what its own functions are given is looked at."""
    program = """
    compdef() { :; }; _describe() { print -rl -- "${(@P)3}"; }
    _files() { print files $*; }; _normal() { print $CURRENT $words; }
    source $1
    try() { words=("$@"); CURRENT=$#; _jobkeep; }
    try jobkeep can; try jobkeep show ''; try jobkeep queue pause ''; try jobkeep run --cwd /us
    try jobkeep run -- ls -
    """
    lines = said("zsh", "-f", "-c", program, "zsh", script(jobkeep, folder, "zsh"))

    assert lines == [
        "cancel:stop jobs", "k3x9a0b1:▶ running backup", "m7aab2c3:✓ succeeded backup", "a\\:b@c", "files -/", "2 ls -",
    ]  # fmt: skip


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_completes(jobkeep: Jobkeep, typing: FakeDaemon, folder: str) -> None:
    """Asked as its own tests do."""
    lines = ["jobkeep can", "jobkeep show ", "jobkeep run --cwd=/us", "jobkeep run -- jobkeep lock r"]
    asked = "; ".join(f"complete -C '{line}'" for line in lines)
    program = f"source {script(jobkeep, folder, 'fish')}; {asked}"

    assert said("fish", "--no-config", "-c", program) == [
        "cancel\tstop jobs", "k3x9a0b1\t▶ running backup", "m7aab2c3\t✓ succeeded backup", "--cwd=/usr/\tDirectory",
        "reset", "run",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [["show", ""], ["queue", "pause", ""], ["run", "--lock", ""], [], ["\udcff", ""]])
def test_nobody_is_disturbed(
    jobkeep: Jobkeep, folder: str, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """Without a daemon there are no names: none is started, and nothing is said."""
    started: list[int] = []
    monkeypatch.delenv("JOBKEEP_SOCKET")
    monkeypatch.delenv("JOBKEEP_AUTOSTART")
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    monkeypatch.setattr("jobkeep.client.autostart.start_daemon", lambda **_: started.append(1))
    done = jobkeep("__complete", *words)

    assert (done.code, done.err, started) == (0, "", [])
    assert bool(done.out) == (not words)


def test_a_daemon_that_answers_nonsense_disturbs_nobody(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Nor does one that refuses."""
    assert jobkeep("__complete", "show", "").out == ""
    daemon.raw = b"nonsense\0"
    assert jobkeep("__complete", "show", "") == jobkeep("__complete", "lock", "show", "")
