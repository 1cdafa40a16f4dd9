"""Command lines: the parser of one command, the options that all commands share, and where they may stand."""

from __future__ import annotations

import argparse
import os

from jobkeep.cli import values
from jobkeep.cli.failures import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

_FLAGS = frozenset({"--json", "-q", "--quiet", "--no-trunc"})
_VALUED = frozenset({"--socket", "--color", "--timeout"})


def _formatter(prog: str) -> argparse.HelpFormatter:
    # An explicit width: argparse would import shutil, and with it the compression modules, to find one.
    return argparse.RawDescriptionHelpFormatter(prog, width=help_width(), max_help_position=28)


def help_width() -> int:
    """Columns for help texts."""
    try:
        columns = int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size().columns
    except (OSError, ValueError):
        columns = 100
    return max(min(columns, 110) - 2, 40)


class CommandParser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError, knows no abbreviations and names the closest option."""

    def __init__(self, command: str, description: str = "", examples: str = "") -> None:
        super().__init__(
            prog=f"jobkeep {command}".rstrip(),
            description=description,
            epilog=examples,
            formatter_class=_formatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        hint = f"{self.prog} --help"
        if message.startswith("unrecognized arguments: "):
            unknown = message.removeprefix("unrecognized arguments: ")
            close = closest(unknown.split(" ")[0].partition("=")[0], self._option_string_actions)
            message = f"it does not take {unknown}"
            hint = f"did you mean {close}?" if close else hint
        raise UsageError(f"{self.prog.removeprefix('jobkeep ')}: {message}", hint)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, if any is."""
    from difflib import get_close_matches  # only on the way to an error

    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def add_globals(parser: argparse.ArgumentParser, *, timeout: bool = True) -> None:
    """Options of every command. Without `timeout` where the command has a --timeout of its own."""
    group = parser.add_argument_group("common options")
    skip = argparse.SUPPRESS
    group.add_argument("--socket", metavar="PATH", default=skip, help="the daemon's socket")
    group.add_argument("--json", action="store_true", default=skip, help="JSON for programs")
    group.add_argument("-q", "--quiet", action="store_true", default=skip, help="ids only")
    group.add_argument("--no-trunc", action="store_true", default=skip, help="whole ids and names")
    group.add_argument(
        "--color", choices=("auto", "always", "never"), default=skip, help="colours; auto: on a terminal"
    )
    if timeout:
        group.add_argument(
            "--timeout", dest="talk_timeout", type=values.duration, metavar="DUR", default=skip,
            help="how long an answer of the daemon may take (30s)",
        )  # fmt: skip


def defaults() -> argparse.Namespace:
    """The common options when none is given."""
    return argparse.Namespace(
        socket=None, json=False, quiet=False, no_trunc=False, color="auto", talk_timeout=30.0
    )


def split(argv: Sequence[str]) -> tuple[list[str], str | None, list[str]]:
    """Cut a command line into (common options before the command, the command, the rest)."""
    index = 0
    while index < len(argv):
        word = argv[index]
        if not word.startswith("-"):
            return list(argv[:index]), word, list(argv[index + 1 :])
        if word in ("-h", "--help", "--version"):
            return list(argv[:index]), word, []
        option = word.partition("=")[0]
        if word in _FLAGS or (option in _VALUED and option != word):
            index += 1
        elif word in _VALUED:
            index += 2
        else:
            close = closest(option, _FLAGS | _VALUED)
            raise UsageError(
                f"unknown option {option}",
                f"did you mean {close}?" if close else "options of a command stand behind it: jobkeep --help",
            )
    return list(argv), None, []


def parse_globals(head: Sequence[str]) -> argparse.Namespace:
    """The common options that stand before the command."""
    namespace = defaults()
    if head:
        parser = CommandParser("")
        add_globals(parser)
        parser.parse_args(head, namespace)
    return namespace
