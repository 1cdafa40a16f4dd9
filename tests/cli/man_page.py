"""docs/man/jobkeep.1, from the very declarations that `--help` prints. `make docs` writes it."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

from jobkeep.cli.listing import GROUPS, overview
from jobkeep.cli.reading import full_parser

PAGE: Final = Path(__file__).resolve().parents[2] / "docs/man/jobkeep.1"
COMMON: Final = "common options"
HEAD: Final = """\
.TH JOBKEEP 1 "" jobkeep "User commands"
.SH NAME
jobkeep \\- keeps jobs alive, exclusive, visible and resumable
.SH SYNOPSIS
.B jobkeep
[\\fICOMMON OPTIONS\\fR] \\fICOMMAND\\fR \\&...
.SH DESCRIPTION
\\fBjobkeep\\fR talks to \\fBjobkeepd\\fR, which runs commands and Python functions as durable jobs.
Bare \\fBjobkeep\\fR lists them.
A daemon of your own starts by itself where none answers.
"""
FOOT: Final = """\
.SH ENVIRONMENT
.TP
.B JOBKEEP_SOCKET
The daemon's socket; else your own daemon's, else that of the host.
.TP
.B JOBKEEP_AUTOSTART
0: start no daemon.
.TP
.B JOBKEEP_CONFIG
The configuration file of a daemon that starts by itself. Empty: none.
.TP
.B JOBKEEP_\\fISECTION\\fB_\\fIKEY
One value of its configuration, such as JOBKEEP_JOBS_GRACE=30s.
.TP
.B NO_COLOR
No colours.
"""


def page() -> str:
    """The whole text."""
    lines = [HEAD]
    for title, commands in GROUPS.items():
        lines.append(f'.SH "{title.upper()}"\n')
        for name in commands:
            module = _module(name)
            lines += _command(name, module)
            for part in getattr(module, "PARTS", ()):
                lines += _command(f"{name} {part}", _module(f"{name}_{part.replace('-', '_')}"))
    common = next(group for group in full_parser("version", _module("version"))._action_groups if group.title == COMMON)
    lines += [".SH COMMON OPTIONS\n", *_options(common._group_actions), FOOT, ".SH EXIT STATUS\n"]
    exits = overview().partition("Exit codes: ")[2].partition("\n\n")[0]
    return "".join([*lines, _escaped(exits.replace("\n", " ")), "\n"])


def _module(name: str) -> ModuleType:
    return import_module(f"jobkeep.cli.commands.{name}")


def _command(name: str, module: ModuleType) -> Iterator[str]:
    parser = full_parser(name, module)
    for usage in _usages(parser):
        yield f'.SS "{_escaped(usage)}"\n'
    yield _escaped(" ".join((module.__doc__ or "").split())) + "\n"
    for group in parser._action_groups:
        if group.title != COMMON:
            yield from _options(group._group_actions)
    if examples := getattr(module, "EXAMPLES", "").strip("\n"):
        yield f".PP\n.nf\n{_escaped(examples)}\n.fi\n"


def _usages(parser: argparse.ArgumentParser) -> list[str]:
    """One for each manner in which the command is called."""
    width, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), "110"
    try:
        words = " ".join(parser.format_usage().removeprefix("usage:").partition(" [--socket")[0].split())
        return re.split(" (?=jobkeep )", words)
    finally:
        os.environ.pop("COLUMNS")
        if width is not None:
            os.environ["COLUMNS"] = width


def _options(actions: list[argparse.Action]) -> Iterator[str]:
    for action in actions:
        if action.help in (None, argparse.SUPPRESS) or "--help" in action.option_strings:
            continue
        value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
        if not isinstance(value, str) or action.nargs == 0:
            value = ""
        words = ", ".join(action.option_strings)
        head = f"\\fB{_escaped(words)}\\fR \\fI{_escaped(value)}\\fR" if words else f"\\fI{_escaped(value)}\\fR"
        yield f".TP\n{head}\n{_escaped(' '.join(str(action.help).replace('%%', '%').split()))}\n"


def _escaped(text: str) -> str:
    """Nothing of it is a request of roff, nor a hyphen that is no hyphen."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").split("\n")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in lines)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
