"""Runs commands on a terminal of their own, and `top` on textual's; -> what was written to it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from select import select
from unittest.mock import patch

from cli.screens import Pilot, rows, until
from jobkeep.cli.context import Context
from jobkeep.cli.options import Options
from jobkeep.cli.top.app import Top
from shots.drawing import COLUMNS, without_fonts

ROWS = 24


def said(environment: dict[str, str], *words: str, seconds: float | None = None) -> str:
    """What `jobkeep WORDS` writes; after so many seconds it gets Ctrl-C's signal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "jobkeep.cli", *words], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    deadline = time.monotonic() + seconds if seconds is not None else None
    written = b""
    while True:
        if deadline is not None and time.monotonic() > deadline:
            process.send_signal(signal.SIGINT)
            deadline = None
        if not select([ours], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # EIO: the other end is closed
            break
        written += data
    os.close(ours)
    process.wait(timeout=120)
    return written.decode().replace("\r\n", "\n")


def last_picture(written: str) -> str:
    """Of those that `watch` has drawn over each other."""
    return written.rpartition("\x1b[?7l")[2].partition("\x1b[?7h")[0].replace("\x1b[K", "")


def top(environment: dict[str, str]) -> str:
    """The board's own picture of itself."""

    async def taken() -> str:
        board = Top(context)
        async with board.run_test(size=(COLUMNS, ROWS)) as pilot:
            await until(pilot, lambda: len(rows(board)) > 4)
            await settle(pilot)
            return board.export_screenshot(title="jobkeep top")

    async def settle(pilot: Pilot) -> None:
        await pilot.press("down")
        await pilot.pause(1.5)  # the bar moves meanwhile

    with patch.dict(os.environ, environment):
        context = Context(Options())
        context.style.tty = context.style.colour = True
        return without_fonts(asyncio.run(taken()))
