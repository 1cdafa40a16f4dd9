"""The full parser of one command, by argparse: for help texts, and for command lines that are unusual or wrong."""

from __future__ import annotations

import argparse
import os

from jobkeep.cli.failures import UsageError
from jobkeep.cli.options import closest
from jobkeep.cli.values import BadValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


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

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            # argparse words a ValueError itself; a BadValue knows better.
            if isinstance(error.__context__, BadValue):
                raise argparse.ArgumentError(action, str(error.__context__)) from None
            raise

    def error(self, message: str) -> NoReturn:
        hint = f"{self.prog} --help"
        if message.startswith("unrecognized arguments: "):
            unknown = message.removeprefix("unrecognized arguments: ")
            close = closest(unknown.split(" ")[0].partition("=")[0], self._option_string_actions)
            message = f"it does not take {unknown}"
            hint = f"did you mean {close}?" if close else hint
        raise UsageError(f"{self.prog.removeprefix('jobkeep ')}: {message}", hint)
