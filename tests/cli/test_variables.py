"""--env-file and --secret: what a job gets, and that nothing of it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon
from jobkeep.cli import variables
from jobkeep.cli.failures import UsageError

REPLY = {"id": "k3x9a0b1c2d3e4f5", "state": "queued", "created": True}


@pytest.fixture
def specs(daemon: FakeDaemon) -> list[dict[str, Any]]:
    """Of every submit."""
    seen: list[dict[str, Any]] = []

    def accept(parameters: dict[str, Any]) -> dict[str, Any]:
        seen.append(parameters["spec"])
        return REPLY

    daemon.answers["Submit"] = accept
    return seen


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"), ("  A = b c \t", "b c"), ("export A=b", "b"), ("A=", ""), ("A=a#b=c #d", "a#b=c #d"),
        ("A='a \"#\\n'", 'a "#\\n'), ('A="a\\n\\"\\\\\\$"  # why', 'a\n"\\$'), ("A='' # none", ""), ("A=b\r", "b"),
        ("\ufeffA=ü", "ü"), ("A=b's", "b's"), ("A=$B", "$B"),
    ],
)  # fmt: skip
def test_a_line_is_a_name_and_a_value(tmp_path: Path, line: str, value: str) -> None:
    """As it is, or in quotes; around it there may be space, empty lines and comments."""
    (tmp_path / "env").write_bytes(f"{line}\n\n  # a comment\nZ=1".encode())
    assert variables.read(f"{tmp_path}/env") == {"A": value, "Z": "1"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"s3cret", "no ="), (b"s3 cret=s3cret", "name"), (b"A-B=s3cret", "name"), (b"=s3cret", "name"),
        (b"A='s3cret", "do not end"), (b'A="s3cret\\', "backslash"), (b'A="s3\\cret"', "backslash"),
        (b"A='s3'cret", "follows"), (b"A=s3cret\xff", "UTF-8"), (b"A=s3\0cret", "NUL"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_and_not_told(tmp_path: Path, line: bytes, why: str) -> None:
    """File, line and what is wrong; nothing that stands in it."""
    (tmp_path / "env").write_bytes(b"B=1\n" + line)
    with pytest.raises(UsageError) as caught:
        variables.read(f"{tmp_path}/env")
    said = str(caught.value)
    assert f"{tmp_path}/env, line 2: " in said
    assert why in said
    assert not any(part in said + (caught.value.hint or "") for part in ("s3", "cret"))


def test_what_a_file_says_is_secret(jobkeep: Jobkeep, specs: list[dict[str, Any]], tmp_path: Path) -> None:
    """Also where --env says otherwise; a later file wins over an earlier one."""
    (tmp_path / "a").write_text("ONE=1\nTWO=2\nTHREE=3\n")
    (tmp_path / "b").write_text("TWO=b\n")
    files = ("--env-file", f"{tmp_path}/a", "--env-file", f"{tmp_path}/b")
    assert jobkeep("run", "-d", *files, "--env", "THREE=c", "--env", "FOUR=d", "true").code == 0
    assert specs[0]["env"] == {"ONE": "1", "TWO": "b", "THREE": "c", "FOUR": "d"}
    assert specs[0]["secrets"] == ["ONE", "TWO", "THREE"]


def test_a_secret_is_an_argument_or_a_variable(
    jobkeep: Jobkeep, specs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a variable that no option gives a value it is that of our own; what has none is a mistake."""
    monkeypatch.setenv("TOKEN", "t")
    monkeypatch.delenv("NOWHERE", raising=False)
    jobkeep("run", "-d", "--secret", "TOKEN", "--env", "A=b", "--secret", "A", "true")
    jobkeep("call", "-d", "--secret", "pin", "--secret", "TOKEN", "m:f", "pin=1", "n=2")
    assert [(spec["env"], spec["secrets"]) for spec in specs] == [
        ({"A": "b", "TOKEN": "t"}, ["TOKEN", "A"]), ({"TOKEN": "t"}, ["pin", "TOKEN"]),
    ]  # fmt: skip
    assert specs[1]["arguments"] == {"pin": 1, "n": 2}

    missing = jobkeep("run", "-d", "--secret", "NOWHERE", "true")
    assert (missing.code, len(specs)) == (2, 2)
    assert "NOWHERE" in missing.err
    told = jobkeep("run", "-d", "--secret", "TOKEN=hunter2", "true")
    assert (told.code, len(specs)) == (2, 2)
    assert "hunter2" not in told.err


def test_a_file_that_cannot_be_read_is_a_mistake(
    jobkeep: Jobkeep, specs: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Nothing is submitted; neither is what is too large for a message."""
    (tmp_path / "large").write_bytes(b"A=" + b"x" * variables.LARGEST)
    for name, why in (("nosuch", "No such file"), ("large", "KiB")):
        said = jobkeep("run", "-d", "--env-file", f"{tmp_path}/{name}", "true")
        assert (said.code, specs) == (2, [])
        assert why in said.err


def test_credentials_go_by_name(jobkeep: Jobkeep, specs: list[dict[str, Any]]) -> None:
    """Each once; what cannot be the name of one is a mistake."""
    named = [word for name in ("api", "db.pass", "api") for word in ("--credential", name)]
    assert jobkeep("run", "-d", *named, "true").code == 0
    assert specs[0]["credentials"] == ["api", "db.pass"]
    for wrong in ("../x", "a/b", "", ".."):
        assert jobkeep("run", "-d", "--credential", wrong, "true").code == 2
    assert len(specs) == 1
