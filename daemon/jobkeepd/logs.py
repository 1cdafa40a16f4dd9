"""structlog set-up: JSON or console lines on stderr, with control characters escaped in both."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Final, Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]
_STDERR: Final = 2


def _escape_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A name or a reason may hold anything: nothing of it may move a terminal's cursor or fake a line."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = value.encode("unicode_escape").decode("ascii")
    return event


def _plain_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """TIME LEVEL EVENT key=value …"""
    head = f"{event.pop('timestamp')} {event.pop('level'):<7} {event.pop('event')}"
    return head + "".join(f" {key}={value}" for key, value in event.items())


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


def configure(level: LogLevel, format: LogFormat) -> None:
    renderer = structlog.processors.JSONRenderer() if format == "json" else _plain_line
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _escape_controls,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=True,
    )
