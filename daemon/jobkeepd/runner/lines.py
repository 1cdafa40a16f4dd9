"""Lines of JSON to and from a slot or the spawner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
from anyio.abc import ByteStream

from jobkeepd.spawner import record

GONE = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Lines:
    """One connection. Any of `GONE` means that the peer, or this end, has hung up."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._sending = anyio.Lock()
        self._unfinished = b""

    @classmethod
    async def dial(cls, path: str) -> Lines:
        return cls(await anyio.connect_unix(path))

    async def send(self, message: dict[str, Any]) -> None:
        async with self._sending:
            await self._stream.send(record.encode(message))

    async def receive(self) -> list[dict[str, Any]]:
        """The next messages: at least one."""
        while True:
            *lines, self._unfinished = (self._unfinished + await self._stream.receive()).split(b"\n")
            if lines:
                return [_decode(line) for line in lines]

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """All messages until the peer is gone."""
        while True:
            try:
                messages = await self.receive()
            except GONE:
                return
            for message in messages:
                yield message

    async def aclose(self) -> None:
        await anyio.aclose_forcefully(self._stream)
