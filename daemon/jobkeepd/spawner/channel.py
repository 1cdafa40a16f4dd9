"""Lines of JSON over a Unix socket that never block: a peer that does not read is dropped, and finds its way back."""

from __future__ import annotations

import json
from _socket import MSG_DONTWAIT, MSG_NOSIGNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Any

_scan = json.JSONDecoder().raw_decode
_LIMIT = 16 << 20  # an order holds a whole environment


class Channel:
    """One peer. `receive` and `send` say False once it is gone; the caller then closes it."""

    def __init__(self, peer: socket) -> None:
        self._peer = peer
        self._unfinished = b""

    def fileno(self) -> int:
        return self._peer.fileno()

    def close(self) -> None:
        """Drops what was sent to us and not yet read: it can never be acted on."""
        self._peer.close()

    @property
    def is_between_messages(self) -> bool:
        """Nothing that was received waits for its rest."""
        return not self._unfinished

    def send(self, lines: bytes) -> bool:
        try:
            return self._peer.send(lines, MSG_DONTWAIT | MSG_NOSIGNAL) == len(lines)
        except OSError:
            return False

    def receive(self, into: list[dict[str, Any]]) -> bool:
        """Append what has arrived whole; malformed input counts as gone."""
        try:
            data = self._peer.recv(32768, MSG_DONTWAIT)
            if not data:
                return False
            *lines, self._unfinished = (self._unfinished + data).split(b"\n")
            messages = [_decode(line) for line in lines]
        except BlockingIOError:
            return True
        except (OSError, ValueError, RecursionError):
            return False
        into.extend(message for message in messages if type(message) is dict)
        return len(self._unfinished) <= _LIMIT and all(type(message) is dict for message in messages)


def _decode(line: bytes) -> Any:
    """As json.loads, without its detours."""
    text = line.decode()
    value, end = _scan(text)
    if end != len(text):
        raise ValueError(f"more than one value: {text[end:]!r}")
    return value
