"""structlog set-up: JSON or console lines on stderr, with control characters escaped in both."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Final, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from jobkeepd import journal

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]
_STDERR: Final = 2
_NUMBERS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_processors: list[Processor] = []


def _escape_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A name or a reason may hold anything: nothing of it may move a terminal's cursor or fake a line."""
    return {_printable(key): _printable(value) if isinstance(value, str) else value for key, value in event.items()}


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _plain_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """TIME LEVEL EVENT key=value …"""
    head = f"{event.pop('timestamp')} {event.pop('level'):<7} {event.pop('event')}"
    return head + "".join(f" {key}={_printable(str(value))}" for key, value in event.items())


def _for_the_journal(render: Processor) -> Processor:
    """Lines that `render` makes, marked with how urgent they are."""

    def marked(logger: WrappedLogger, method: str, event: EventDict) -> str:
        level = event["level"]  # `render` takes it out
        return journal.marks(str(render(logger, method, event)), level)

    return marked


class _Stderr:
    """A line is written at once. A full disk or a reader that has gone costs lines, and never the daemon."""

    def msg(self, line: str) -> None:
        left = f"{line}\n".encode(errors="backslashreplace")
        with contextlib.suppress(OSError):
            while left:
                left = left[os.write(_STDERR, left) :]

    debug = info = warning = error = critical = exception = msg


def hold_streams() -> None:
    """Closed standard streams become /dev/null: what is opened next would get their numbers, and log lines."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (_STDERR, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: `fd`
            setattr(sys, name, os.fdopen(fd, mode, encoding="utf-8", errors="backslashreplace", closefd=False))


def _at_least(level: LogLevel) -> Processor:
    least = _NUMBERS[level]

    def drop(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if _NUMBERS.get(method, logging.CRITICAL) < least:
            raise structlog.DropEvent
        return event

    return drop


def configure(level: LogLevel, format: LogFormat) -> None:
    """Loggers that were used already follow: they have the same list of processors."""
    renderer: Processor = structlog.processors.JSONRenderer() if format == "json" else _plain_line
    if journal.is_reading():
        renderer = _for_the_journal(renderer)
    _processors[:] = [
        _at_least(level),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _escape_controls,
        renderer,
    ]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=True,
    )
