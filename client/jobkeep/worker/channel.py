"""A socket that sends whole messages and receives whole messages, however they are cut."""

from __future__ import annotations

import socket
import struct
from typing import Final

from jobkeep.protocol.framing import NUL, FrameSplitter
from jobkeep.protocol.vocabulary import DEFAULT_MESSAGE_LIMIT

_CHUNK: Final = 64 << 10
_LISTEN_US: Final = 20_000


class Channel:
    """Not thread-safe: whoever shares one holds a lock. Once `broken`, it swallows what is sent."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(True)  # for `listen` only; all else passes MSG_DONTWAIT
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, _LISTEN_US))
        self._socket = connected
        self._splitter = FrameSplitter(DEFAULT_MESSAGE_LIMIT)
        self._unsent = bytearray()
        self.broken = False

    @classmethod
    def dial(cls, path: str, timeout_s: float) -> Channel:
        """Raises OSError."""
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(timeout_s)
            connected.connect(path)
        except OSError:
            connected.close()
            raise
        return cls(connected)

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def wants_write(self) -> bool:
        """There is something left for `flush`."""
        return bool(self._unsent) and not self.broken

    def send(self, message: bytes) -> bool:
        """Send a JSON text; False if a part of it has to wait for `flush`. Never blocks."""
        self._unsent += message
        self._unsent += NUL
        return self.flush()

    def flush(self) -> bool:
        """Send what can be sent now; whether that was all."""
        unsent = self._unsent
        try:
            while unsent and not self.broken:
                del unsent[: self._socket.send(unsent, socket.MSG_DONTWAIT)]
        except BlockingIOError:
            return False
        except OSError:
            self.broken = True  # the reading side finds out too, and knows what to do
        return True

    def receive(self) -> list[bytes]:
        """The messages that have become complete. Raises ConnectionError at the end, MessageTooLarge."""
        return self._receive(socket.MSG_DONTWAIT)

    def listen(self) -> list[bytes]:
        """Like `receive`, but wait a moment for something to come: one system call instead of two."""
        return self._receive(0)

    def _receive(self, flags: int) -> list[bytes]:
        try:
            data = self._socket.recv(_CHUNK, flags)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionError("the other end closed the connection")
        return self._splitter.feed(data)

    def close(self) -> None:
        self._socket.close()
