"""Drives `jobkeep top` on textual's own test terminal, and reads what is on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from textual import pilot
from textual.widgets import Static

from jobkeep.cli.context import Context
from jobkeep.cli.options import Options
from jobkeep.cli.top.app import Top
from jobkeep.cli.top.rows import Rows

PATIENCE = 60.0
Pilot = pilot.Pilot[None]
Script = Callable[[Top, Pilot], Awaitable[None]]


def drive(script: Script) -> None:
    """Run the board, and `script` beside it."""

    async def main() -> None:
        top = Top(Context(Options()))
        async with top.run_test(size=(100, 30)) as pilot:
            await script(top, pilot)

    asyncio.run(main())


async def until(pilot: Pilot, true: Callable[[], object]) -> None:
    """Raises AssertionError with all that is on the screen."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, screen(pilot.app)
        await pilot.pause(0.01)


def screen(app: Any) -> str:
    """All that can be read on it, dialogues and toasts too."""
    texts = [str(static.render()) for over in app.screen_stack for static in over.query(Static) if static.display]
    texts += [toast.message for toast in app._notifications]
    texts += [str(option.prompt) for option in app.screen_stack[0].query_one(Rows).options]
    return "\n".join(texts)


def rows(top: Top) -> list[str]:
    """Those of the tab that is shown."""
    return [str(option.prompt) for option in top.screen_stack[0].query_one(Rows).options]
