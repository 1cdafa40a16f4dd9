"""One side's messages in their order, each once: what the log has kept, then what comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar


class Numbered(Protocol):
    """A message of a sender that counts its own."""

    @property
    def sender(self) -> str: ...
    @property
    def number(self) -> int: ...


_M = TypeVar("_M", bound=Numbered)


class Feed(Generic[_M]):
    """Subscribe first, then fetch the log: what came in between is in both. `heard` gets each message once.

    Both may be called from any thread.
    """

    def __init__(self, heard: Callable[[_M], None]) -> None:
        self._heard = heard
        self._last: dict[str, int] = {}
        self._held: list[_M] | None = []  # until the log is there
        self._lock = threading.Lock()

    def came(self, message: _M) -> None:
        with self._lock:
            if self._held is not None:
                self._held.append(message)
            else:
                self._pass_on(message)

    def logged(self, messages: Iterable[_M]) -> None:
        """The log as it was after the subscription."""
        with self._lock:
            held, self._held = self._held or [], None
            for message in [*messages, *held]:
                self._pass_on(message)

    def _pass_on(self, message: _M) -> None:
        if message.number > self._last.get(message.sender, 0):
            self._last[message.sender] = message.number
            self._heard(message)
