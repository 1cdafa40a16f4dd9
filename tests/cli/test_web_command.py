"""`jobkeep web`: what it becomes, and what it says where something is missing."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec

import pytest

from jobkeep.cli.commands import web
from jobkeep.cli.main import main


def test_it_becomes_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the flags it was given: the command line itself loads nothing of the dashboard."""
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: became.append(words))

    main(["--socket", "/tmp/s", "web", "--port", "0", "--read-only"])

    assert became == [[sys.executable, "-m", "jobkeep.web", "--socket=/tmp/s", "--port=0", "--read-only"]]


def test_without_its_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, with the command; and a port that is none is a usage error."""
    monkeypatch.setattr(web, "find_spec", lambda name: None if name == "uvicorn" else ModuleSpec(name, None))
    assert main(["web"]) == 2
    assert "needs uvicorn" in (said := capsys.readouterr().err)
    assert "pip install 'jobkeep[web]'" in said
    assert main(["web", "--port", "99999"]) == 2
