"""Asks a session whether it is well. Nothing that it does, or does not do, takes longer than its timeout."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Final
from urllib.parse import urlsplit

import anyio
import anyio.abc
from msgspec import json

from jobkeepd.core.model import RunRef
from jobkeepd.core.sessions import Probe, host_and_port
from jobkeepd.errors import StartFailed
from jobkeepd.runner.base import Execution, LeaderOrder, SlotSource, Target
from jobkeepd.runner.output import STREAMS, Outputs

_ENOUGH: Final = 64 << 10  # bytes of an answer
_OUTPUT: Final = 1 << 20  # bytes of output that are searched, from the end
_START_WITHIN: Final = 5.0  # seconds
_KILL_WITHIN: Final = 2.0  # seconds for a check that has taken too long
_GET_INFO: Final = b'{"method":"org.varlink.service.GetInfo","parameters":{}}\0'
_BROKEN: Final = (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead, anyio.DelimiterNotFound)


class Unwell(Exception):
    """The answer says so; the message is a clause for people."""


class Probes:
    """Implements base.Probing."""

    def __init__(self, slots: SlotSource, outputs: Outputs) -> None:
        self._slots = slots
        self._outputs = outputs

    async def check(self, probe: Probe, target: Target, timeout: float) -> str:
        """What is wrong; "" if it is well."""
        try:
            with anyio.fail_after(timeout):
                await self._ask(probe, target)
        except TimeoutError:
            return f"{probe.words}: no answer within {timeout:g} s"
        except _BROKEN:
            return f"{probe.words}: hung up without an answer"
        except (Unwell, StartFailed) as error:
            return f"{probe.words}: {error}"
        except OSError as error:
            return f"{probe.words}: {error.strerror or 'no connection'}"
        return ""

    def last_line(self, run: RunRef) -> str | None:
        """What it has written last, if anything; errors before the rest."""
        for stream in reversed(STREAMS):
            lines = self._tail(run, stream, 4096).decode(errors="replace").split("\n")
            told = [line.strip() for line in lines if line.strip()]
            if told:
                return told[-1][:300]
        return None

    async def _ask(self, probe: Probe, target: Target) -> None:
        if probe.http is not None:
            await _get(probe.http)
        elif probe.tcp is not None:
            await (await anyio.connect_tcp(*host_and_port(probe.tcp))).aclose()
        elif probe.varlink is not None:
            await _get_info(probe.varlink.removeprefix("unix:"))
        elif probe.command is not None:
            await self._run(probe.command, target)
        elif probe.output is not None:
            pattern = re.compile(probe.output.encode(), re.MULTILINE)
            if not any(pattern.search(self._tail(target.run, stream, _OUTPUT)) for stream in STREAMS):
                raise Unwell("it has not written that yet")

    def _tail(self, run: RunRef, stream: str, size: int) -> bytes:
        try:
            with open(self._outputs.path(run.job, run.number, stream), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - size))
                return file.read(size)
        except OSError:
            return b""

    async def _run(self, command: tuple[str, ...], target: Target) -> None:
        """In a slot, as everything that is started: nothing of it is left afterwards."""
        slot = await self._slots.open()
        order = LeaderOrder(
            run=f"probe-{slot.name}", argv=command, env=target.env, base=target.base, cwd=target.cwd, umask=0o022,
            stdout=os.devnull, stderr=os.devnull, grace=0.0,
        )  # fmt: skip
        try:
            execution: Execution | None = None
            with anyio.move_on_after(_START_WITHIN, shield=True):  # whatever was started is to be ended
                execution = await slot.start(order)
            if execution is None:
                raise Unwell("it could not be started")
            exit = None
            try:
                exit = await execution.exited()
            finally:
                if exit is None:
                    with anyio.move_on_after(_KILL_WITHIN, shield=True):
                        await execution.end()
                        await execution.drained()
            await execution.drained()
        finally:
            with anyio.CancelScope(shield=True):
                await slot.retire()
            self._slots.forget(order.run)
        status = None if exit is None else exit.status
        if status != 0:
            raise Unwell("nobody saw its end" if status is None else _words(status))


def _words(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else f"ended by signal {-code}"


async def _get(url: str) -> None:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.hostname or ""
    async with await anyio.connect_tcp(host, parts.port or 80) as stream:
        await stream.send(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        line = (await _until(stream, b"\n")).decode("latin-1").split()
    if len(line) < 2 or not line[0].startswith("HTTP/") or not line[1].isdecimal():
        raise Unwell("the answer is not HTTP")
    if int(line[1]) >= 400:
        raise Unwell(f"status {line[1]}")


async def _get_info(path: str) -> None:
    async with await anyio.connect_unix(path) as stream:
        await stream.send(_GET_INFO)
        answer = await _until(stream, b"\0")
    with contextlib.suppress(ValueError, RecursionError):
        said = json.decode(answer)
        if isinstance(said, dict) and "error" not in said:
            return
    raise Unwell("the answer is an error")


async def _until(stream: anyio.abc.ByteReceiveStream, end: bytes) -> bytes:
    """What comes before `end`. Raises Unwell for more than is sensible, EndOfStream."""
    got = b""
    while end not in got:
        if len(got) > _ENOUGH:
            raise Unwell("the answer has no end")
        got += await stream.receive()
    return got.partition(end)[0]
