"""The jobs of `jobkeep demo --terminate`: one that stops when it is asked to, and those that do not."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import anyio.to_thread

from jobkeep import JobContext, Stopped

# A command that ignores TERM, with a grandchild in a session of its own that nobody is the parent of any more.
COMMAND = """
trap '' TERM
note() { echo "$1 $2" >> "$0"; }
note command $$
(setsid sh -c 'trap "" TERM; echo "double-forked child $$" >> "$0"; while :; do sleep 0.1; done' "$0" &)
while :; do sleep 0.1; done
"""


def note(log: str, who: str) -> None:
    """Say which process is at work."""
    append(log, f"{who} {os.getpid()}")


def append(path: str, line: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{line}\n")


async def cooperative(ctx: JobContext, log: str, items: int) -> dict[str, int]:
    """A batch that knows nothing of being stopped: for_each sees to it."""
    note(log, "worker of the batch")

    async def one(item: int) -> str:
        await asyncio.sleep(0.02)  # stands for the work
        append(f"{log}.items", str(item))
        return "done"

    return (await ctx.for_each(range(items), one, key=str, every=10)).tallies


async def swallows(ctx: JobContext, log: str) -> str:
    """Takes its cancellation for a hiccup, and ignores SIGTERM as well. Finishes only in a calmer run."""
    if ctx.restored is not None:
        return f"went on from {ctx.restored}"
    await ctx.checkpoint({"page": 7})
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(log, "worker that swallows")
    while True:
        try:
            await ctx.sleep(3600)
        except (asyncio.CancelledError, Stopped):
            print("cancelled? I go on", flush=True)
            await _in_spite(0.5)


async def _in_spite(seconds: float) -> None:
    """Sleep although every sleep is cancelled."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await asyncio.sleep(end - time.monotonic())
        except asyncio.CancelledError:
            continue


async def hangs(ctx: JobContext, log: str) -> None:
    """Waits for a thread that never returns: no cancellation gets through to that."""
    await ctx.checkpoint({"page": 3})
    note(log, "worker with a hanging thread")
    await anyio.to_thread.run_sync(_never_returns)


def _never_returns() -> None:
    while True:
        time.sleep(0.1)


def items_of(log: Path) -> list[int]:
    """Items of the batch that were finished, in order."""
    path = log.with_name(f"{log.name}.items")
    return [int(line) for line in path.read_text(encoding="utf-8").split()] if path.exists() else []
