"""Lines of JSON to and from a slot or the spawner."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec

from jobkeepd.latch import Latch

Heed = Callable[["Lines", dict[str, Any]], None]
_BUFFER = 16384
_encoder = msgspec.json.Encoder()
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Lines(asyncio.BufferedProtocol):
    """One connection. Each message is passed on as soon as it is here, in the same turn of the loop as its bytes."""

    def __init__(self, heed: Heed) -> None:
        self._heed = heed
        self._unfinished = b""
        self._buffer = memoryview(bytearray(_BUFFER))  # reused: a fresh one costs more than what comes in it
        self._greeted: Latch[bool] = Latch()
        self._lost: Latch[None] = Latch()

    @classmethod
    async def dial(cls, path: str, heed: Heed) -> Lines:
        """Returns when the peer's first message has been heeded: its hello. Raises OSError."""
        _, lines = await asyncio.get_running_loop().create_unix_connection(lambda: cls(heed), path)
        try:
            if not await lines._greeted.wait():
                raise ConnectionResetError(f"{path}: hung up without a word")
        except BaseException:
            lines.close()
            raise
        return lines

    def send(self, message: object) -> bool:
        """False when the peer is known to be gone. True means no more than that the message is on its way."""
        if not self._transport.is_closing():
            self._transport.write(encode(message))
        return not self._transport.is_closing()  # a write that fails closes it

    async def lost(self) -> None:
        """Wait until the peer, or this end, has hung up."""
        await self._lost.wait()

    def close(self) -> None:
        """Nothing is heeded any more."""
        self._transport.abort()

    # -- called by the event loop -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, hint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        *lines, self._unfinished = (self._unfinished + self._buffer[:count]).split(b"\n")
        for line in lines:
            self._heed(self, decode(line))
        if lines:
            self._greeted.set(True)

    def connection_lost(self, error: Exception | None) -> None:
        self._greeted.set(False)
        self._lost.set(None)


def encode(message: object) -> bytes:
    """One line. What is not UTF-8 is escaped as lone surrogates, which only the standard library does."""
    try:
        return _encoder.encode(message) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(message), separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return dict(json.loads(line))
