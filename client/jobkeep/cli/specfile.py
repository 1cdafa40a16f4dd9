"""A file with a job on each line: read and checked whole before any of them is submitted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

import msgspec

from jobkeep.cli.failures import UsageError
from jobkeep.client import specs
from jobkeep.errors import InvalidRequest
from jobkeep.protocol.checks import BadSpec, check_conflict, check_spec
from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.mistakes import in_words
from jobkeep.protocol.vocabulary import OnConflict

LONGEST = 900_000  # bytes of a line: with the environment and the rest it must fit into a message of 1 MiB
_CONFLICT = "on_conflict"


class Line(NamedTuple):
    """One job. `on_conflict` is None where nothing but `reject` is meant of its key, and to wait of its lock."""

    number: int
    item: dict[str, Any]
    on_conflict: OnConflict | None


class BadLine(Exception):
    """What is wrong with a line; `field` begins it."""


@contextmanager
def opened(name: str) -> Iterator[IO[bytes]]:
    """The file, or `-` for stdin; what can be read only once is copied to where it can be read again."""
    with ExitStack() as stack:
        try:
            file = sys.stdin.buffer if name == "-" else stack.enter_context(open(name, "rb"))
            if not file.seekable():
                copy = stack.enter_context(TemporaryFile())
                copyfileobj(file, copy)
                copy.seek(0)
                file = copy
        except OSError as error:
            raise UsageError(f"--from-file: {name}: {error.strerror or error}") from None
        yield file


def lines(file: IO[bytes], template: JobSpec, on_conflict: OnConflict | None) -> Iterator[Line | tuple[int, str]]:
    """Each line's job, or its number and what is wrong with it; from where the file stands. Empty ones are left out."""
    base = msgspec.to_builtins(template)
    keys: dict[str, int] = {}
    for number, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            line = _line(number, text, base, on_conflict)
        except BadLine as wrong:
            yield number, str(wrong)
            continue
        key = line.item.get("key")
        if key is not None and line.on_conflict is None and keys.setdefault(key, number) != number:
            yield number, f"key: line {keys[key]} has the same key {key}; {_CONFLICT} says what becomes of the second"
            continue
        yield line


class Checked(NamedTuple):
    """How many jobs there are, the first line that names each queue, and what is wrong with which lines."""

    jobs: int
    queues: dict[str, int]
    wrong: list[str]


def check(file: IO[bytes], template: JobSpec, on_conflict: OnConflict | None) -> Checked:
    """All lines."""
    count = 0
    queues: dict[str, int] = {}
    wrong: list[str] = []
    for line in lines(file, template, on_conflict):
        if isinstance(line, Line):
            count += 1
            queues.setdefault(line.item.get("queue", template.queue), line.number)
        else:
            wrong.append(f"line {line[0]}: {line[1]}")
    return Checked(count, queues, wrong)


def _line(number: int, text: bytes, base: dict[str, Any], on_conflict: OnConflict | None) -> Line:
    if len(text) > LONGEST:
        raise BadLine(f"it has {len(text)} bytes; a job has room for {LONGEST}")
    try:
        given = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadLine(f"not JSON: {error}") from None
    if not isinstance(given, dict):
        raise BadLine("not a JSON object")
    own = given.pop(_CONFLICT, on_conflict)
    try:
        conflict = None if own is None else msgspec.convert(str(own).replace("-", "_"), OnConflict)
        item = specs.fields(given)
        spec = msgspec.convert({**base, **item}, JobSpec)
        check_spec(spec)
        check_conflict(conflict, spec)
    except InvalidRequest as error:
        raise BadLine(str(error)) from None
    except BadSpec as error:
        raise BadLine(f"{error.field}: {error}") from None
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise BadLine(_placed(str(error))) from None
    return Line(number, item, conflict if spec.key is not None or spec.lock is not None else None)


def _placed(text: str) -> str:
    """The decoder's message, with the field at its beginning."""
    what, _, place = in_words(text).partition(" - at `$")
    return f"{place.rstrip('`').lstrip('.')}: {what}" if place.strip("`.") else what
