"""Command lines that are wrong: one line of why, a hint, an exit code, and never a traceback."""

from __future__ import annotations

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault
from jobkeep.cli.listing import names

TIMES = ["", "x", "-1", "1w", "nan", "1h30m", "400d"]
COUNTS = ["", "x", "-1", "1.5", "9" * 30]
OF_SUBMIT = [
    *([flag, value] for flag in ("--timeout", "--grace", "--backoff") for value in TIMES),
    *([flag, value] for flag in ("--retries", "--priority") for value in ("", "x", "1.5", "9999")),
    *([flag, value] for flag in ("--name", "--key", "--queue") for value in ("", "a b", "-x", "é", "\x1b[2J")),
    ["--label", "k"], ["--label", "=v"], ["--env", "k"], ["--env", "=v"], ["--on-lost", "x"], ["--on-conflict", "x"],
    ["--on-conflict", "return"], ["--request-id", ""], ["--request-id", "a b"], ["--cwd", "/nonexistent"],
    ["--timeout", "0s"], ["--color", "blue"], ["--bogus"], ["--detach=1"], ["-x"], ["--nam", "x"],
]  # fmt: skip
LINES = [
    *(["run", *wrong, "--", "true"] for wrong in OF_SUBMIT),
    *(["call", *wrong, "m:f"] for wrong in OF_SUBMIT),
    ["run"], ["run", "--"], ["run", "-d"], ["run", ""], ["run", "--name"], ["run", "--name", "x"],
    ["call"], ["call", "m"], ["call", "m:"], ["call", "m:f", "x"], ["call", "m:f", "a-b=1"], ["call", "m:f", "=1"],
    ["call", "m:f", "--args", "["], ["call", "m:f", "--args", "[]"], ["call", "m:f", "--args"],
    ["call", "--python", "/nonexistent", "m:f"], ["call", "--python", "no-such-python", "m:f"],
    *(["ls", "--since", value] for value in TIMES),
    *(["ls", "--limit", value] for value in [*COUNTS, "0"]),
    ["ls", "extra"], ["ls", "--state", "done"], ["ls", "--state", ""], ["ls", "--state"], ["ls", "--label", "x"],
    ["ls", "--queue", "a b"], ["ls", "--stat", "failed"], ["ls", "--json=1"],
    ["show"], ["show", "a", "b"], ["show", ""], ["show", "A"], ["show", "../x"], ["show", "x" * 33], ["show", "--x"],
    ["show", "\x1b[2J"], ["show", "é"],
    ["logs"], ["logs", "a", "b"], ["logs", "a", "--stdout", "--stderr"],
    *(["logs", "a", "-n", value] for value in COUNTS),
    *(["logs", "a", "--run", value] for value in [*COUNTS, "0"]),
    ["wait"], ["wait", "--any"], ["wait", "A"], *(["wait", "a", "--timeout", value] for value in TIMES),
    *([verb] for verb in ("cancel", "resume", "restart", "history", "sql", "daemon")),
    *([verb, "Ä"] for verb in ("cancel", "resume", "restart", "history")),
    *([verb, "a", "--reason", reason] for verb in ("cancel", "resume", "restart") for reason in ("a\nb", "x" * 1025)),
    ["cancel", "a", "--from-start"], ["resume", "a", "--force"], ["restart", "a", "--failed-items"],
    ["events", "x"], *(["events", "--after", value] for value in COUNTS),
    ["sql", ""], ["sql", "   "], ["sql", "SELECT", "1"],
    ["daemon", "sart"], ["daemon", ""], ["daemon", "start", "stop"], ["version", "x"],
    ["watch", ""], ["watch", "Ä"], ["watch", "a", "\x1b[2J"], ["watch", "--any", "a"], ["watch", "--json=1"],
    ["completion"], ["completion", ""], ["completion", "csh"], ["completion", "bash", "zsh"], ["completion", "--all"],
    ["rm"], ["rm", "Ä"], ["rm", "a", "--all-matching"], ["rm", "a", "--force"],
    ["rm", "--all-matching", "--state", "x"],
    *([verb, "--all-matching", "--since", value] for verb in ("cancel", "resume", "restart") for value in TIMES),
    ["doctor", "x"], ["doctor", "--fix"], ["metrics", "x"], ["metrics", "--textfile"],
    ["daemon", "backup"], ["daemon", "restore"], ["daemon", "check-config", "x"], ["daemon", "check_config"],
    ["daemon", "reload", "x"], ["daemon", "drain", "--commands", "x"], ["daemon", "drain", "--timeout", "1w"],
    ["lock", "show"], ["lock", "run", "--wait", "x", "l", "true"], ["lock", "run", "l", "--ttl", "0s", "true"],
    ["queue", "limit", "q"], ["queue", "pause", "a b"], ["schedule", "add", "x"],
    ["session", "open", "--wait", "x", "s"],
    ["progress"], ["progress", "x"], ["progress", "1", "2", "3"], ["checkpoint", "set"], ["checkpoint", "set", "{"],
    ["recover", "--then", "pray"], ["recover", "--older-than", "1w"], ["ps", "x"], ["explain"], ["explain", "A"],
    ["nonsense"], ["lss"], [""], ["--bogus"], ["--json", "--bogus", "ls"], ["--socket"], ["--timeout", "x", "ls"],
    ["--timeout", "0", "ls"],
    ["--color", "blue", "ls"], ["--color"], ["-x"], ["\x1b[2J"], ["\ud800"],
    ["run", "--cwd", "\udcff", "true"], ["run", "-d", "echo", "\udcff"], ["call", "m:f", "x=\udcff"],
]  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=lambda line: ascii(" ".join(line))[:60])
def test_a_wrong_command_line_is_answered_with_words(jobkeep: Jobkeep, daemon: FakeDaemon, line: list[str]) -> None:
    """Exit code 2 (3 for what cannot be an id), the reason and a hint on stderr, nothing on stdout, no escapes."""

    def refuse(parameters: object) -> None:
        raise Fault("Invalid", message="no", field="x")

    daemon.answers.update(dict.fromkeys(["Get", "Submit", "List", "Sql", "Status", "Wait"], refuse))
    done = jobkeep(*line)

    assert done.code in (2, 3)
    assert done.out == ""
    assert done.err.startswith("jobkeep: ")
    assert len(done.err.splitlines()) <= 2
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err


def test_there_are_many_of_them() -> None:
    """The list above stays as long as it is meant to be."""
    assert len(LINES) >= 200


def test_an_unknown_command_names_the_closest_one(jobkeep: Jobkeep) -> None:
    """A typo costs one look."""
    done = jobkeep("cancle", "a")

    assert (done.code, done.err) == (2, "jobkeep: there is no command 'cancle'\nhint: did you mean jobkeep cancel?\n")


@pytest.mark.parametrize("name", names())
def test_every_command_explains_itself(jobkeep: Jobkeep, name: str) -> None:
    """`jobkeep COMMAND --help` prints its usage and the common options."""
    done = jobkeep(name, "--help")

    assert done.code == 0
    assert done.out.startswith("usage: jobkeep " + name)
    assert "--socket PATH" in done.out


def test_help_lists_the_commands_in_groups(jobkeep: Jobkeep) -> None:
    """`jobkeep --help` has one line for each command."""
    out = jobkeep("--help").out

    assert all(f"\n  {name} " in out for name in names())
    assert "Act on jobs:" in out


def test_run_has_examples(jobkeep: Jobkeep) -> None:
    """`jobkeep run --help` shows how it is used."""
    assert "examples:\n  jobkeep run -- rsync" in jobkeep("run", "--help").out
