"""The functions that bench.clusters has run on a cluster."""

from __future__ import annotations

import time
from pathlib import Path

from jobkeep import BlockingJobContext

ITEM_S = 1e-3


def one(_: int) -> None:
    end = time.perf_counter() + ITEM_S
    while time.perf_counter() < end:
        pass


def timed(ctx: BlockingJobContext, items: int) -> float:
    """Seconds."""
    began = time.perf_counter()
    ctx.map(one, range(items))
    return time.perf_counter() - began


def gated(ctx: BlockingJobContext, items: int, reached: str, gate: str) -> float:
    """Says that all items are done, and ends once it may."""
    taken = timed(ctx, items)
    Path(reached).touch()
    while not Path(gate).exists():
        time.sleep(0.01)
    return taken
