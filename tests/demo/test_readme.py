"""The examples of the READMEs do what they say, copied and pasted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "client/README.md").read_text(encoding="utf-8")


def example(text: str, name: str) -> str:
    """The code block that begins with the file's name."""
    found = re.search(rf"```python\n(# {re.escape(name)}\n.*?)```", text, re.DOTALL)
    assert found, f"there is no {name}"
    return found[1]


@pytest.fixture(scope="module")
def daemon() -> Iterator[tuple[PrivateDaemon, jobkeep.BlockingClient]]:
    daemon = PrivateDaemon()
    with daemon as client:
        yield daemon, client


def test_the_main_example_prints_what_the_readme_shows(
    daemon: tuple[PrivateDaemon, jobkeep.BlockingClient], tmp_path: Path
) -> None:
    """Its two files, its input, its command lines and their output."""
    for name in ("leads.py", "submit.py"):
        (tmp_path / name).write_text(example(README, name), encoding="utf-8")
    shown = r"```\n\$ (awk .*?)\n\$ (jobkeep call .*?)\n(.*?)\n\$ (python .*?)\n(.*?)\n```"
    session = re.search(shown, README, re.DOTALL)
    assert session
    make, call, called, submit, submitted = session.groups()
    folder = os.path.dirname(sys.executable)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "JOBKEEP_SOCKET": str(daemon[0].socket)}
    environment.pop("VIRTUAL_ENV", None)

    def said(line: str) -> str:
        return subprocess.run(
            line, shell=True, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=True, timeout=60,
        ).stdout.strip()  # fmt: skip

    assert said(make) == ""
    assert said(call) == called
    assert said(submit).partition(" ")[2] == submitted.partition(" ")[2]


def test_the_tutorials_examples_run(
    daemon: tuple[PrivateDaemon, jobkeep.BlockingClient], tmp_path: Path
) -> None:
    """The batch, and the plain function that keeps its place by itself."""
    (tmp_path / "shop").mkdir()
    for name in ("shop/tasks.py", "folder.py"):
        (tmp_path / name).write_text(example(TUTORIAL, name), encoding="utf-8")
    (tmp_path / "list.txt").write_text("a@b\nnobody\n", encoding="utf-8")
    where = {"cwd": str(tmp_path), "python": sys.executable}
    mailed = daemon[1].call("shop.tasks:mail_all", {"path": "list.txt"}, **where)
    converted = daemon[1].call("folder:convert", {"folder": "."}, **where)

    assert mailed.result(timeout=30) == {"sent": 1, "skipped": 1}
    assert converted.result(timeout=30) == 1
    assert (tmp_path / "list.upper").read_text(encoding="utf-8") == "A@B\nNOBODY\n"
