"""Jobs named on the command line."""

from __future__ import annotations

from jobkeep.cli.failures import NOT_FOUND, OK, Failure, RemoteFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from jobkeep.cli.context import Context

_ALPHABET = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")


def job_id(text: str) -> str:
    """An id or the beginning of one; what cannot be one is not found."""
    if not text or len(text) > 32 or not _ALPHABET.issuperset(text):
        raise Failure(f"no job has the id {text!r}", NOT_FOUND, "jobkeep ls --all lists the ids")
    return text


def add_ids(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """One or more ids."""
    parser.add_argument("ids", nargs="+" if needed else "*", metavar="ID", help="or the first characters of it")


def each(context: Context, ids: Sequence[str], act: Callable[[str], None]) -> int:
    """`act` on every one of them, whatever becomes of the others; -> the worst exit code.

    A daemon that cannot be reached ends it at once: the others would fare the same.
    """
    codes = [OK]
    for text in ids:
        try:
            act(job_id(text))
        except RemoteFault as fault:
            codes.append(context.complain(fault))
        except Failure as failure:
            if failure.code != NOT_FOUND:
                raise
            codes.append(context.complain(failure))
    return max(codes)
