"""A bare asyncio.Protocol server: decodes the call, encodes the same answer each time. `python -m bench.echo`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from jobkeep.protocol.envelope import Call, Reply
from jobkeep.protocol.jobs import JobParameters, JobReply, ListParameters, ListReply

NUL = b"\0"


class TypedEcho(asyncio.Protocol):
    """What a read call costs that has nothing to look up: typed decode, typed encode, one write."""

    def __init__(self, answer: bytes, asked: type[msgspec.Struct], answered: type[msgspec.Struct]) -> None:
        self._answer = msgspec.json.decode(msgspec.json.decode(answer, type=Reply).parameters, type=answered)
        self._encode = msgspec.json.Encoder().encode
        self._call = msgspec.json.Decoder(Call).decode
        self._parameters = msgspec.json.Decoder(asked).decode
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *messages, self._rest = (self._rest + data if self._rest else data).split(NUL)
        out: list[bytes] = []
        for message in messages:
            self._parameters(self._call(message).parameters)
            out += (self._encode(Reply(msgspec.Raw(self._encode(self._answer)))), NUL)
        self._transport.write(b"".join(out))


class ByteEcho(asyncio.Protocol):
    """The floor below that: the answer is a constant, the call is not even looked at."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer + NUL

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer * data.count(NUL))


async def serve(folder: Path) -> None:
    answer = (folder / "answer").read_bytes()
    listed = (folder / "listed").read_bytes()
    loop = asyncio.get_running_loop()
    servers: dict[str, Callable[[], asyncio.Protocol]] = {
        "typed": lambda: TypedEcho(answer, JobParameters, JobReply),
        "list": lambda: TypedEcho(listed, ListParameters, ListReply),
        "bytes": lambda: ByteEcho(answer),
    }
    for name, protocol in servers.items():
        await loop.create_unix_server(protocol, str(folder / name), backlog=256)
    (folder / "ready").touch()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
