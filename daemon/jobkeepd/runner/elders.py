"""Spawners that made way for one of another version and stay for their slots: asked where ours knows nothing."""

from __future__ import annotations

import contextlib
import glob
import os
from typing import Any

import anyio

from jobkeepd.latch import Latch
from jobkeepd.runner.lines import Lines
from jobkeepd.spawner import record

_HELLO_WITHIN = 5.0


def has_slot(answer: dict[str, Any]) -> bool:
    """Whether a spawner's answer says that the dead slot is its own."""
    return bool(answer.get("known")) or answer.get("state", "unknown") != "unknown"


async def ask(runtime: str, request: dict[str, Any]) -> dict[str, Any] | None:
    """The answer of the one that has the slot of the request; None if none has, or it died before it answered."""
    for path in sorted(glob.glob(record.elder_socket(glob.escape(runtime), "*"))):
        answer = await _ask(path, request)
        if answer is not None and has_slot(answer):
            return answer
    return None


async def _ask(path: str, request: dict[str, Any]) -> dict[str, Any] | None:
    answered: Latch[dict[str, Any] | None] = Latch()

    def heed(peer: Lines, message: dict[str, Any]) -> None:
        if message.get("op") != "hello":
            answered.set(message)

    try:
        with anyio.fail_after(_HELLO_WITHIN):
            peer = await Lines.dial(path, heed)
    except ConnectionRefusedError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # it was killed
        return None
    except OSError:
        return None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_note_loss, peer, answered)
            peer.send({"id": 1, **request})
            answer = await answered.wait()
            tasks.cancel_scope.cancel()
        return answer
    finally:
        peer.close()


async def _note_loss(peer: Lines, answered: Latch[dict[str, Any] | None]) -> None:
    await peer.lost()
    answered.set(None)
