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
    from typing import TextIO


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; -> its exit code."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        _hold_streams()
    # A terminal that cannot show a glyph gets an escape instead of an exception.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _guarded(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        return BROKEN_PIPE
    except OSError as error:  # what was printed is not where it should be
        _silence(sys.stdout)
        return _report(_of_system(error))
    return code


def _hold_streams() -> None:
    # The socket to the daemon must not get the number of a closed stream, and with it what is printed there.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: its own
            os.set_inheritable(fd, True)
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))


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
        return _report(_of_system(error))


def _of_system(error: OSError) -> Failure:
    return Failure(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""), FAILED)


def _report(failure: Failure) -> int:
    from jobkeep.cli.context import report

    sys.stdout.flush()
    try:
        report(failure)
    except BrokenPipeError:
        raise
    except OSError:  # stderr is full: the exit code tells
        _silence(sys.stderr)
    return failure.code


def _silence(stream: TextIO) -> None:
    # The reader went away, or the disk is full: nobody is left to tell. Python would complain again when it flushes.
    from contextlib import suppress

    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _dispatch(argv: Sequence[str]) -> int:
    if list(argv[:1]) == ["__complete"]:
        from jobkeep.cli.completing import main as complete

        return complete(argv[1:])
    from jobkeep.cli.options import Options, split

    head, command, rest = split(argv)
    if command == "help" and rest:  # help run, help lock ls
        head, command, rest = [], rest[0], [*rest[1:], "--help"]
    if command in ("-h", "--help", "help"):
        from jobkeep.cli.listing import overview

        print(overview())
        return OK
    from jobkeep.cli.reading import read

    options = Options()
    if head:
        read("", None, head, options)
    name = "version" if command == "--version" else command or "ls"
    module = _module(name)
    if hasattr(module, "PARTS"):
        from jobkeep.cli.parts import part_of

        name, module, rest = part_of(name, module, rest, options)
    read(name, module, rest, options)
    from jobkeep.cli.context import Context

    context = Context(options)
    try:
        code: int = module.run(context, options)
    finally:
        context.link.close()
    return code


def _module(name: str) -> ModuleType:
    from jobkeep.cli.listing import names

    known = names()
    if name not in known:
        from jobkeep.cli.options import closest

        close = closest(name, known)
        raise UsageError(
            f"there is no command {name!r}", f"did you mean jobkeep {close}?" if close else "jobkeep --help"
        )
    return __import__(f"jobkeep.cli.commands.{name}", fromlist=["run"])
