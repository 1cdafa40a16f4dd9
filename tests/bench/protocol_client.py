"""The least an asyncio client can be: a Protocol and one future per call."""

from __future__ import annotations

import asyncio
from typing import Self

import msgspec

from bench.wire import NUL, Answer, decode, encode
from jobkeep.protocol.jobs import JobParameters, JobReply


class ProtocolClient(asyncio.Protocol):
    """One call at a time."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    @classmethod
    async def connect(cls, path: str) -> Self:
        _, protocol = await asyncio.get_running_loop().create_unix_connection(cls, path)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        if data.endswith(NUL):
            self._answer.set_result(b"".join(self._parts)[:-1])
            self._parts.clear()

    async def get(self, job: str) -> JobReply:
        return await self.call("org.jobkeep.Jobs.Get", JobParameters(job), JobReply)

    async def call(self, method: str, parameters: msgspec.Struct, answer: type[Answer]) -> Answer:
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._transport.write(encode(method, parameters))
        return decode(await self._answer, answer)

    def close(self) -> None:
        self._transport.close()
