"""Types the lines of a documented session into one shell, and compares what it says, but for what no two runs share."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

_END = "--end-of-output--"
# Ids, times, durations, sizes and numbers of processes: any of the kind will do, at the same place.
_VOLATILE = [
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:ms|s|min|h)\b"), "SPAN"),
    (re.compile(r"\bprocess \d+\b"), "process N"),
    (re.compile(r"(✓ ready +)\d+"), r"\1 N"),
]
_ID = re.compile(r"\b(?:[0-9a-z]{12}|[0-9a-z]{8})\b")


class Line:
    """A command and what it is said to print."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.output: list[str] = []


def session(text: str) -> list[Line]:
    """Commands begin with `$ `, and go on in the next line until their quotes are closed."""
    lines: list[Line] = []
    for row in text.splitlines():
        if row.startswith("$ "):
            lines.append(Line(row[2:]))
        elif not is_whole(lines[-1].command):
            lines[-1].command += f"\n{row}"
        else:
            lines[-1].output.append(row)
    return lines


def is_whole(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


class Terminal:
    """One bash, whose variables and directory last from line to line."""

    def __init__(self, cwd: Path, environment: Mapping[str, str]) -> None:
        self._ids: dict[str, str] = {}  # those of the page, and what they are here
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"], cwd=cwd, env=dict(environment), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", start_new_session=True,
        )  # fmt: skip

    def close(self) -> None:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        self._shell.stdout.close()
        self._shell.wait(60)

    def type(self, command: str) -> tuple[list[str], int]:
        """What it prints, on either stream, and its exit code."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{{ {self._translated(command)}\n}} </dev/null\nprintf '\\n%s %d\\n' {_END} $?\n")
        self._shell.stdin.flush()
        said = list(self._until_end())
        code = int(said.pop().split()[1])
        if said and not said[-1]:
            said.pop()
        return said, code

    def check(self, line: Line, place: str) -> None:
        """It prints what it is said to print; a line `…` stands for any number of lines."""
        said, _ = self.type(line.command)
        shown = "\n".join(said)
        rest = list(said)
        skips = False
        for expected in line.output:
            if expected.strip() == "…":
                skips = True
                continue
            while skips and rest and canonical(rest[0]) != canonical(expected):
                rest.pop(0)
            assert rest, f"{place}: {line.command}\nprinted:\n{shown}\nand not: {expected}"
            found = rest.pop(0)
            assert canonical(found) == canonical(expected), f"{place}: {line.command}\nprinted:\n{shown}"
            self._ids |= dict(zip(_ID.findall(expected), _ID.findall(found), strict=True))
            skips = False
        assert skips or not rest, f"{place}: {line.command}\nprinted:\n{shown}"

    def _until_end(self) -> Iterator[str]:
        assert self._shell.stdout is not None
        for row in self._shell.stdout:
            yield row.rstrip("\n")
            if row.startswith(_END):
                return
        raise AssertionError("the shell has ended")

    def _translated(self, command: str) -> str:
        """With this run's ids for those of the page, of which four letters are enough."""

        def real(word: re.Match[str]) -> str:
            return next((here for there, here in self._ids.items() if there.startswith(word[0])), word[0])

        return re.sub(r"\b[0-9a-z]{4,12}\b", real, command)


def canonical(line: str) -> str:
    """The line without what differs from run to run, the widths of columns included."""
    for pattern, name in _VOLATILE:
        line = pattern.sub(name, line)
    return " ".join(_ID.sub("ID", line).split())


def environment(home: Path, socket: Path, *folders: str) -> dict[str, str]:
    """Of a newcomer with a home and a daemon of their own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JOBKEEP_", "XDG_"))}
    inherited.pop("VIRTUAL_ENV", None)
    return {
        **inherited, "HOME": str(home), "PATH": ":".join([*folders, os.environ["PATH"]]), "LC_ALL": "C.UTF-8",
        "JOBKEEP_SOCKET": str(socket), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
