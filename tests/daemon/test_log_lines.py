"""Lines of the daemon's own log: nothing that a client sends steers a terminal or fakes one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobkeepd import failures, journal
from jobkeepd.errors import BadConfig

EVIL = "x\x1b[2J\x9b1m\r\x08\u202e\u2066\u2028\x85\nFAKE"
SAY = """
import sys
from pathlib import Path
import structlog
from jobkeepd import logs
evil = sys.stdin.buffer.read().decode()
logs.configure("info", sys.argv[1])
log = structlog.get_logger()
try:
    raise ValueError(evil)
except ValueError as error:
    log.warning(evil, name=evil, **{evil: evil}, path=Path(evil), failure=error, names=[evil, {evil: evil}], number=7)
    log.error("failed", exc_info=error)
"""


@pytest.mark.parametrize("format", ["console", "json"])
def test_whatever_is_said_is_one_line_of_glyphs(format: str) -> None:
    """Texts, keys, paths, exceptions with their tracebacks, and what is inside of lists."""
    said = subprocess.run(
        [sys.executable, "-c", SAY, format], input=EVIL.encode(), stderr=subprocess.PIPE, check=True
    ).stderr.decode()

    assert said.count("\n") == 2
    assert all(line.isprintable() for line in said.split("\n"))
    assert "number=7" in said or '"number": 7' in said


@pytest.mark.parametrize("format", ["console", "json"])
@pytest.mark.parametrize("is_journal", [True, False])
def test_the_journal_is_told_how_urgent_each_line_is(tmp_path: Path, format: str, is_journal: bool) -> None:
    """So `journalctl -p err` finds the errors; where stderr is not the stream that is named there are no marks."""
    with open(tmp_path / "stderr", "w+b") as file:
        there = os.fstat(file.fileno())
        environ = {**os.environ, "JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino + (not is_journal)}"}
        subprocess.run([sys.executable, "-c", SAY, format], input=b"x", stderr=file, env=environ, check=True)
        file.seek(0)
        marks = [line[:3] if line.startswith(b"<") else b"" for line in file]

    assert marks == ([b"<4>", b"<3>"] if is_journal else [b"", b""])


def test_a_start_that_fails_is_an_error_to_the_journal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of its lines; people on a terminal see words alone."""
    error = BadConfig(["[jobs] grace = 'x'"])
    failures.tell("cannot start: ", error)
    assert capsys.readouterr().err.startswith("jobkeepd: cannot start: ")
    monkeypatch.setattr(journal, "is_reading", lambda: True)
    failures.tell("cannot start: ", error)
    assert [line[:3] for line in capsys.readouterr().err.splitlines()] == ["<3>", "<3>"]


def test_a_stderr_that_is_closed_is_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one of which nothing is said."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert not journal.is_reading()
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    monkeypatch.setattr(journal, "_STDERR", -1)
    assert not journal.is_reading()
