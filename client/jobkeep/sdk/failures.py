"""Exceptions as bounded data: type, message and traceback, never over the limit of the wire."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Final

import msgspec

from jobkeep.protocol.jobs import ErrorInfo

ITEM_ERROR_LIMIT: Final = 4 << 10  # bytes of one item's error, so that many fit into one checkpoint
_CUT: Final = "\n… cut …\n"
_encode = msgspec.json.Encoder().encode


def error_info(error: BaseException, limit: int, *, skip: str | None = None) -> ErrorInfo:
    """`error` as data of at most `limit` bytes as JSON. Leading frames in folder `skip` are left out."""
    return bounded(_name(type(error)), _message(error), _text(error, skip), limit)


def bounded(name: str, message: str, text: str | None, limit: int) -> ErrorInfo:
    """The parts as an ErrorInfo of at most `limit` bytes as JSON, cut in the middle where too long."""
    name, message = _shorten(_clean(name), 256), _clean(message)
    text = None if text is None else _clean(text)
    room = limit
    while True:
        info = ErrorInfo(name, _shorten(message, room // 4), text and _shorten(text, room // 2))
        if len(_encode(info)) <= limit or room < 64:
            return info
        room = room * 2 // 3  # escapes and non-ASCII letters take more bytes than characters


def _name(kind: type[BaseException]) -> str:
    """Python's own and ours by their short names: where they are defined tells nobody anything."""
    if kind.__module__.partition(".")[0] in ("builtins", "jobkeep"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001 - a job's exception may have a broken __str__
        return f"(its message cannot be shown: {type(second).__name__})"


def _text(error: BaseException, skip: str | None) -> str:
    frames: TracebackType | None = error.__traceback__
    while skip and frames is not None and frames.tb_frame.f_code.co_filename.startswith(skip):
        frames = frames.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, frames, limit=-40))
    except Exception as second:  # noqa: BLE001 - as above
        return f"(its traceback cannot be shown: {type(second).__name__})"


def _clean(text: str) -> str:
    """Lone surrogates cannot be encoded."""
    return text.encode("utf-8", "replace").decode()


def _shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = max(0, limit - len(_CUT)) // 3
    tail = max(0, limit - len(_CUT) - head)
    return text[:head] + _CUT + (text[-tail:] if tail else "")
