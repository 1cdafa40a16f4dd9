"""What a function prints on the cluster, on its way home: the other threads of its process print as they did before."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Final, Literal, TextIO

To = Literal[1, 2]
Sink = Callable[[To, str], object]
_sink: ContextVar[Sink | None] = ContextVar("jobkeep_sink", default=None)
_installing: Final = threading.Lock()
FULL: Final = 16 * 1024  # characters that are held back at most
HOLD_S: Final = 0.25


class _Fork(io.TextIOBase):
    """Stands for a standard stream, and writes to the one there was unless the context has another place."""

    def __init__(self, before: TextIO, to: To) -> None:
        self._before = before
        self._to: To = to

    def write(self, text: str) -> int:
        sink = _sink.get()
        if sink is None:
            return self._before.write(text)
        sink(self._to, text)
        return len(text)

    def flush(self) -> None:
        if _sink.get() is None:
            self._before.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._before.fileno()

    def isatty(self) -> bool:
        return False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._before.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._before.errors


@contextmanager
def printing_to(sink: Sink) -> Iterator[None]:
    """What is printed in this context, and in tasks and threads that copy it, goes to `sink`."""
    with _installing:
        if not isinstance(sys.stdout, _Fork):
            sys.stdout = _Fork(sys.stdout, 1)
        if not isinstance(sys.stderr, _Fork):
            sys.stderr = _Fork(sys.stderr, 2)
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


class Held:
    """Holds output back for a moment, so that a line is not a message."""

    def __init__(self, send: Sink) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._parts: list[tuple[To, str]] = []
        self._size = 0
        self.due: float | None = None  # when it is to be flushed

    def add(self, to: To, text: str, now: float) -> bool:
        """Whether that is the first that waits."""
        with self._lock:
            first = not self._parts
            self._parts.append((to, text))
            self._size += len(text)
            if first:
                self.due = now + HOLD_S
        if self._size >= FULL:
            self.flush()
        return first

    def flush(self) -> None:
        with self._lock:
            parts, self._parts, self._size, self.due = self._parts, [], 0, None
            at = 0
            while at < len(parts):
                to, texts, size = parts[at][0], [], 0
                while at < len(parts) and parts[at][0] == to and size < FULL:
                    texts.append(parts[at][1])
                    size += len(parts[at][1])
                    at += 1
                whole = "".join(texts)
                for begin in range(0, len(whole), FULL):
                    self._send(to, whole[begin : begin + FULL])


def write_out(to: To, text: str) -> None:
    """At home: to where this process writes. A disk that is full takes output alone, not the way to the cluster."""
    rest = text.encode(errors="backslashreplace")
    with suppress(OSError):
        while rest:
            rest = rest[os.write(to, rest) :]
