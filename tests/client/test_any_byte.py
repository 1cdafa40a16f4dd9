"""Every call, given up or cut off at any byte of its replies: the client goes on, and nobody gets another's reply."""

from __future__ import annotations

import contextlib
import gc
import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import jobkeep
from jobkeep.blocking.channel import BlockingChannel
from jobkeep.blocking.client import BlockingClient
from jobkeep.client.channel import Channel
from jobkeep.client.client import Client

from .every_call import BLOCKS, CALLS, UNSAFE, done, done_blocking
from .faucet import PATIENCE_S, Faucet, end_connection


@pytest.fixture(scope="module")
def faucet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faucet]:
    faucet = Faucet(str(tmp_path_factory.mktemp("s") / "socket"))
    yield faucet
    faucet.stop()


def cuts(size: int) -> list[int]:
    """Where replies of that size stop: before their first byte, within them, before their last."""
    return sorted({0, 1, size // 3, size // 2, size - 1})


def all_cuts(name: str, size: int, turn: int) -> list[int]:
    """At every byte of what goes on over several connections. The three clients take turns, as each byte costs time."""
    return list(range(turn, size, 3)) if name in ("job.events", "job.logs", "job.result") else cuts(size)


async def size_of(faucet: Faucet, jk: jobkeep.Client, name: str) -> int:
    faucet.arm(None)
    await done(CALLS[name](jk))
    return faucet.passed


async def settled(condition: Any) -> None:
    with anyio.fail_after(PATIENCE_S):
        while not condition():
            await anyio.sleep(0.0005)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_call_that_is_cancelled_at_any_byte_leaves_the_client_as_it_was(faucet: Faucet, backend: str) -> None:
    """The next call gets its own reply, over the same connection; no link is left behind."""

    async def cancel_at(jk: jobkeep.Client, name: str, after: int) -> None:
        faucet.arm(after)
        ended = False
        async with anyio.create_task_group() as tasks:

            async def call() -> None:
                nonlocal ended
                await done(CALLS[name](jk))
                ended = True

            tasks.start_soon(call)
            await settled(lambda: ended or faucet.reached)
            for _ in range(3):
                await anyio.lowlevel.checkpoint()  # the first bytes are read
            tasks.cancel_scope.cancel()
            if name in BLOCKS:  # leaving the block asks for something
                faucet.open()
        before = (await status_behind(jk)).pid
        assert (await jk.status()).pid == before + 1, (name, after)

    async def status_behind(jk: jobkeep.Client) -> Any:
        """Asked while the rest of the reply that nobody waits for is still to come."""
        found: list[Any] = []

        async def ask() -> None:
            found.append(await jk.status())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.lowlevel.checkpoint()
            faucet.open()
        return found[0]

    async def walk() -> None:
        async with jobkeep.connect(faucet.path) as jk:
            shared = jk._channel._link
            for name in CALLS:
                for after in cuts(await size_of(faucet, jk, name)):
                    await cancel_at(jk, name, after)
                    assert jk._channel._link is shared, (name, after)
                    if jk._channel._taken:
                        gc.collect()  # a stream that was given up between two replies might have been read on
                    assert not jk._channel._taken, (name, after)

    anyio.run(walk, backend=backend)


def test_a_call_that_is_interrupted_at_any_byte_leaves_the_client_usable(faucet: Faucet) -> None:
    """Without an event loop it is a signal that ends a call: Ctrl-C, or a time limit of the program."""

    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    main = threading.main_thread().ident
    assert main is not None
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with jobkeep.connect_blocking(faucet.path) as jk:
            for name, call in CALLS.items():
                faucet.arm(None)
                done_blocking(call(jk))
                for after in cuts(faucet.passed):
                    faucet.arm(after, lambda: signal.pthread_kill(main, signal.SIGUSR1))
                    with contextlib.suppress(Interrupted):
                        done_blocking(call(jk))
                    faucet.arm(None)
                    first = jk.status().pid
                    assert jk.status().pid == first + 1, (name, after)
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(("backend", "turn"), [("asyncio", 0), ("trio", 5)])
def test_a_stream_goes_on_behind_a_read_that_was_cancelled_at_any_byte(
    faucet: Faucet, backend: str, turn: int
) -> None:
    """The same iterator is read on: nothing is left out, nothing comes twice."""

    async def read(jk: jobkeep.Client, name: str, after: int) -> list[Any]:
        faucet.arm(after)
        found: list[Any] = []
        stream = CALLS[name](jk)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def give_up() -> None:
                    await settled(lambda: faucet.reached)
                    await anyio.lowlevel.checkpoint()
                    scope.cancel()

                tasks.start_soon(give_up)
                async for item in stream:
                    found.append(item)
                tasks.cancel_scope.cancel()  # it was faster than the cut
        faucet.open()
        return found + [item async for item in stream]

    async def walk() -> None:
        async with jobkeep.connect(faucet.path) as jk:
            for name in ("job.events", "job.logs", "jobs", "job.failed_items"):
                size, whole = await size_of(faucet, jk, name), await done(CALLS[name](jk))
                for after in range(turn, size, 10):
                    assert await read(jk, name, after) == whole, (name, after)

    anyio.run(walk, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_call_that_is_cancelled_while_it_is_sent_spoils_no_other(tmp_path: Path, backend: str) -> None:
    """The daemon takes no more bytes for a while: whoever gives up then must not leave half a message behind."""
    path = str(tmp_path / "slow")
    sizes: list[int] = []
    begun, go = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        connections = [listener.accept()[0] for _ in range(2)]  # the first one is a look whether anybody listens
        rest = b""
        while data := connections[1].recv(1 << 16):
            begun.set()
            go.wait(PATIENCE_S)
            *messages, rest = (rest + data).split(b"\0")
            for message in messages:
                sizes.append(len(json.loads(message)["parameters"]["id"]))
                connections[1].sendall(b'{"error":"org.jobkeep.Jobs.NotFound","parameters":{"message":"no","id":"x"}}\0')
        for connection in connections:
            connection.close()

    async def walk() -> None:
        async with jobkeep.connect(path) as jk, anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope, contextlib.suppress(jobkeep.NotFound):
                tasks.start_soon(give_up, scope)
                await jk.job("a" * 900_000).info()
            tasks.start_soon(expect_none, jk, 7)
            await anyio.lowlevel.checkpoint()
            go.set()
            await expect_none(jk, 8)

    async def give_up(scope: anyio.CancelScope) -> None:
        await settled(begun.is_set)
        scope.cancel()
        threading.Timer(0.1, go.set).start()  # trio's client cannot leave before it has sent all of it

    async def expect_none(jk: jobkeep.Client, size: int) -> None:
        with pytest.raises(jobkeep.NotFound):
            await jk.job("a" * size).info()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        anyio.run(walk, backend=backend)
        thread.join()
    assert sorted(sizes) == [7, 8, 900_000]


LONG = ("job.events", "job.logs", "job.result", "job.wait", "wait", "events", "lock", "session")


@pytest.mark.parametrize("backend", ["asyncio", "trio", "blocking"])
def test_a_daemon_that_does_not_come_back_is_a_typed_error_of_all_that_takes_long(
    tmp_path: Path, backend: str
) -> None:
    """Whoever is in the midst of a stream or a wait hears of it once the time for a restart is over."""

    async def walk(gone: Faucet, name: str) -> None:
        async with Client(Channel(gone.path, False, restart_s=0.05)) as jk:
            with pytest.raises(jobkeep.DaemonUnreachable, match="no such socket"):
                await done(CALLS[name](jk))

    for name in LONG:
        gone = Faucet(str(tmp_path / "gone"))
        gone.arm(30, gone.vanish)
        if backend == "blocking":
            client = BlockingClient(BlockingChannel(gone.path, False, restart_s=0.05))
            with client as jk, pytest.raises(jobkeep.DaemonUnreachable, match="no such socket"):
                done_blocking(CALLS[name](jk))
        else:
            anyio.run(walk, gone, name, backend=backend)


OTHERS = [name for name in CALLS if name != "status"]  # its reply is another one each time


def judge(name: str, after: int, found: Any, whole: Any) -> None:
    """What a call comes to whose connection has ended."""
    if isinstance(found, jobkeep.ConnectionLost):
        assert name in UNSAFE, (name, after)
    else:
        assert str(found) == str(whole), (name, after)


@pytest.mark.parametrize(("backend", "turn"), [("asyncio", 0), ("trio", 1)])
def test_a_connection_that_ends_at_any_byte_is_survived_or_a_typed_error(
    faucet: Faucet, backend: str, turn: int
) -> None:
    """Streams, results and what may be asked twice come to the same; the rest is ConnectionLost, never half a reply."""

    async def result(jk: jobkeep.Client, name: str) -> Any:
        try:
            return await done(CALLS[name](jk))
        except jobkeep.ConnectionLost as error:
            return error

    async def walk() -> None:
        async with jobkeep.connect(faucet.path) as jk:
            for name in OTHERS:
                faucet.arm(None)  # the cut before may still be to come: a hold renews itself when it likes
                whole = await result(jk, name)
                for after in all_cuts(name, faucet.passed, turn):
                    faucet.arm(after, end_connection)
                    judge(name, after, await result(jk, name), whole)

    anyio.run(walk, backend=backend)


def test_a_connection_that_ends_at_any_byte_is_survived_without_await_as_well(faucet: Faucet) -> None:
    """The same of the other client."""

    def result(jk: jobkeep.BlockingClient, name: str) -> Any:
        try:
            return done_blocking(CALLS[name](jk))
        except jobkeep.ConnectionLost as error:
            return error

    with jobkeep.connect_blocking(faucet.path) as jk:
        for name in OTHERS:
            faucet.arm(None)
            whole = result(jk, name)
            for after in all_cuts(name, faucet.passed, 2):
                faucet.arm(after, end_connection)
                judge(name, after, result(jk, name), whole)
