"""The options that all commands share, and where they may stand. Without argparse, which fast commands do not load."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence
    from typing import Any

_FLAGS = frozenset({"--json", "-q", "--quiet", "--no-trunc"})
_VALUED = frozenset({"--socket", "--color", "--timeout"})


class Options:
    """What a command line says: an attribute per option. The common ones are there from the start."""

    def __init__(self) -> None:
        self.socket: str | None = None
        self.json = False
        self.quiet = False
        self.no_trunc = False
        self.color = "auto"
        self.talk_timeout = 30.0  # seconds

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def add_globals(parser: argparse.ArgumentParser, *, timeout: bool = True) -> None:
    """Options of every command. Without `timeout` where the command has a --timeout of its own."""
    group = parser.add_argument_group("common options")
    group.add_argument("--socket", metavar="PATH", help="the daemon's socket")
    group.add_argument("--json", action="store_true", help="JSON for programs")
    group.add_argument("-q", "--quiet", action="store_true", help="ids only")
    group.add_argument("--no-trunc", action="store_true", help="whole ids and names")
    group.add_argument("--color", choices=("auto", "always", "never"), help="auto: on a terminal")
    if timeout:
        group.add_argument(
            "--timeout", dest="talk_timeout", type=values.limit, metavar="DUR",
            help="how long to wait for an answer of the daemon (30s)",
        )  # fmt: skip


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, if any is."""
    from difflib import get_close_matches  # only on the way to an error

    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


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
