"""A listener over fakes, and bare clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobkeepd.core.authz import Access, Role
from jobkeepd.rpc.address import bind
from jobkeepd.rpc.dispatch import Dispatch
from jobkeepd.rpc.listener import Listener
from jobkeepd.rpc.settings import RpcSettings
from rpc.fakes import FakeDaemon

WITHIN = 60.0  # seconds that anything here may take at most

Message = dict[str, Any]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def until(true: Callable[[], object]) -> None:
    """Let the loop turn until it is."""
    async with asyncio.timeout(WITHIN):
        while not true():
            await asyncio.sleep(0)


class Client:
    """Bytes in, JSON out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def ask(self, method: str, flags: Message | None = None, **parameters: Any) -> None:
        """Send a call without reading its reply."""
        self.write(msgspec.json.encode({"method": method, "parameters": parameters, **(flags or {})}) + b"\0")

    async def reply(self) -> Message:
        async with asyncio.timeout(WITHIN):
            data = await self.reader.readuntil(b"\0")
        message: Message = msgspec.json.decode(data[:-1])
        return message

    async def call(self, method: str, **parameters: Any) -> Message:
        """The parameters of the reply."""
        self.ask(method, **parameters)
        reply = await self.reply()
        assert "error" not in reply, reply
        found: Message = reply["parameters"]
        return found

    async def error(self, method: str, **parameters: Any) -> tuple[str, Message]:
        """The short name of the error and its parameters."""
        self.ask(method, **parameters)
        reply = await self.reply()
        return reply["error"].rpartition(".")[2], reply["parameters"]

    async def stream(self, method: str, **parameters: Any) -> list[Message]:
        """All replies but the empty last one."""
        self.ask(method, {"more": True}, **parameters)
        found: list[Message] = []
        while (reply := await self.reply()).get("continues"):
            found.append(reply["parameters"])
        assert reply == {"parameters": {}}
        return found

    async def error_of_stream(self, method: str, **parameters: Any) -> str:
        """The short name of the error that is the first reply."""
        self.ask(method, {"more": True}, **parameters)
        name: str = (await self.reply())["error"]
        return name.rpartition(".")[2]

    async def hung_up(self) -> bytes:
        """What came before the daemon closed the connection."""
        async with asyncio.timeout(WITHIN):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Served:
    """A daemon that listens."""

    def __init__(self, folder: Path, settings: RpcSettings, allowed: set[int]) -> None:
        self.path = str(folder / "s")
        (folder / "logs").mkdir()
        self.logs = folder / "logs"
        self.daemon = FakeDaemon(str(self.logs))
        access = Access(os.geteuid(), {uid: Role.ADMIN for uid in allowed})
        self.dispatch = Dispatch(self.daemon.services, access)
        self.listener = Listener(bind(self.path, 64), self.dispatch, settings, self.daemon.clock)
        self.listener.start()
        self.clients: list[Client] = []

    async def client(self) -> Client:
        client = Client(*await asyncio.open_unix_connection(self.path, limit=8 << 20))
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.close()
        await self.listener.close()


Serve = Callable[..., Served]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start one with settings of its own."""
    started: list[Served] = []

    def start(allowed: set[int] | None = None, **settings: Any) -> Served:
        folder = tmp_path / str(len(started))
        folder.mkdir(mode=0o700)
        uids = {os.geteuid()} if allowed is None else allowed
        started.append(Served(folder, RpcSettings(**settings), uids))
        return started[-1]

    yield start
    for served in started:
        await served.close()


@pytest.fixture
async def served(serve: Serve) -> Served:
    return serve()


@pytest.fixture
async def client(served: Served) -> Client:
    return await served.client()
