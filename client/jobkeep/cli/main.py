"""Dispatch: find the command, build its parser alone, run it, turn failures into messages and exit codes."""

from __future__ import annotations

import os
import sys

from jobkeep.cli.failures import BROKEN_PIPE, FAILED, INTERRUPTED, OK, Failure, UsageError, of_client
from jobkeep.errors import JobkeepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; -> its exit code."""
    # A terminal that cannot show a glyph gets an escape instead of an exception.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _guarded(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return BROKEN_PIPE
    return code


def _guarded(argv: Sequence[str]) -> int:
    try:
        return _dispatch(argv)
    except Failure as failure:
        return _report(failure)
    except JobkeepError as error:
        return _report(of_client(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except SystemExit as end:  # argparse, after --help
        return end.code if isinstance(end.code, int) else OK
    except OSError as error:
        return _report(Failure(f"{error.strerror or error}{_about(error)}", FAILED))


def _about(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""


def _report(failure: Failure) -> int:
    from jobkeep.cli.context import report

    sys.stdout.flush()
    report(failure)
    return failure.code


def _silence() -> None:
    # The reader went away: nobody is left to tell. Python would complain again at exit when it flushes.
    from contextlib import suppress

    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(argv: Sequence[str]) -> int:
    from jobkeep.cli.arguments import defaults, parse_globals, split

    head, command, rest = split(argv)
    if command in ("-h", "--help", "help"):
        from jobkeep.cli.listing import overview

        print(overview())
        return OK
    options = parse_globals(head) if head else defaults()
    name = "version" if command == "--version" else command or "ls"
    return _run(name, _module(name), rest, options)


def _module(name: str) -> ModuleType:
    from jobkeep.cli.listing import names

    known = names()
    if name not in known:
        from jobkeep.cli.arguments import closest

        close = closest(name, known)
        raise UsageError(
            f"there is no command {name!r}", f"did you mean jobkeep {close}?" if close else "jobkeep --help"
        )
    return __import__(f"jobkeep.cli.commands.{name}", fromlist=["run"])


def _run(name: str, module: ModuleType, rest: list[str], options: argparse.Namespace) -> int:
    from jobkeep.cli.arguments import CommandParser, add_globals
    from jobkeep.cli.context import Context

    parser = CommandParser(name, module.__doc__ or "", getattr(module, "EXAMPLES", ""))
    module.add_arguments(parser)
    add_globals(parser, timeout=not getattr(module, "OWN_TIMEOUT", False))
    # Words of `run` belong to its command from the first one on; elsewhere options may stand anywhere.
    parse = parser.parse_args if getattr(module, "IN_ORDER", False) else parser.parse_intermixed_args
    arguments = parse(rest, options)
    code: int = module.run(Context(arguments), arguments)
    return code


if TYPE_CHECKING:
    import argparse
