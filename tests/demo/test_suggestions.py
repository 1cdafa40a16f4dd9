"""What the demo suggests at its end can be copied into any shell."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from jobkeep.demo.main import suggestions


@pytest.mark.parametrize("installed", [True, False])
def test_suggestions_name_the_jobkeep_beside_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """With its whole path, since a virtual environment need not be active; paths are quoted."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    if installed:
        (tmp_path / "jobkeep").touch()
    text = suggestions("/tmp/a b/socket", "/tmp/a b")
    expected = [str(tmp_path / "jobkeep")] if installed else [str(tmp_path / "python"), "-m", "jobkeep.cli"]
    line = next(line for line in text.splitlines() if line.endswith(" ls"))

    assert shlex.split(line) == [*expected, "ls"]
    assert "export JOBKEEP_SOCKET='/tmp/a b/socket'" in text
    assert text.endswith("daemon stop && rm -r '/tmp/a b'")
