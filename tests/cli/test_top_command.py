"""What `jobkeep top` says where it cannot be: without a terminal, without textual, without a daemon."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cli.conftest import CLIENT, Jobkeep, written_to


def test_elsewhere_than_on_a_terminal_it_is_a_mistake(jobkeep: Jobkeep) -> None:
    """One line and a hint, exit code 2; for programs there is another command."""
    piped, as_json = jobkeep("top"), jobkeep("top", "--json")

    assert (piped.code, as_json.code) == (2, 2)
    assert piped.err.startswith("jobkeep: top needs a terminal\nhint: jobkeep watch")
    assert as_json.err.count("\n") == 2


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback; the terminal is left as it was."""
    monkeypatch.setenv("TERM", "xterm")
    code = "import sys; sys.modules['textual'] = None; from jobkeep.cli.main import main; sys.exit(main(['top']))"
    done = run_on_a_terminal([sys.executable, "-c", code])

    assert done == (2, "jobkeep: top needs textual, which is not installed\nhint: pip install 'jobkeep[top]'\n")


def test_without_a_daemon_the_screen_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 4, as of any command."""
    monkeypatch.setenv("TERM", "xterm")
    code, said = run_on_a_terminal([sys.executable, "-m", "jobkeep.cli", "top"])

    assert code == 4
    assert "\x1b" not in said
    assert "hint: " in said


def run_on_a_terminal(argv: list[str]) -> tuple[int, str]:
    """On all three streams; -> the exit code, and what was written."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "PYTHONPATH": str(CLIENT)}
    )
    os.close(theirs)
    said = written_to(ours)
    return process.wait(timeout=120), said
