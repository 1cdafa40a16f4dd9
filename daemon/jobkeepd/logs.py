"""structlog set-up: JSON or console lines on stderr, with control characters escaped in both."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]


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
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
