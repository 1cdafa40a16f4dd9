"""The functions that bench.batches runs, here and in workers."""

from __future__ import annotations

import time
from pathlib import Path

from jobkeep import BlockingJobContext, JobContext

ITEM_S = 20e-6


async def no_op_async(_: int) -> None:
    pass


def no_op(_: int) -> None:
    pass


async def bare_async(items: int) -> None:
    for item in range(items):
        await no_op_async(item)


def bare(items: int) -> None:
    for item in range(items):
        no_op(item)


async def no_ops_async(ctx: JobContext, items: int) -> None:
    await ctx.for_each(range(items), no_op_async)


def no_ops(ctx: BlockingJobContext, items: int) -> None:
    ctx.for_each(range(items), no_op)


def of_20_us() -> int:
    """How much of a plain loop takes as long, now and here; the best of some tries, which nobody disturbed."""

    def tried() -> float:
        began = time.perf_counter()
        sum(range(10_000))
        return time.perf_counter() - began

    return round(10_000 * ITEM_S / min(tried() for _ in range(50)))


def durable(ctx: BlockingJobContext, items: int, every: int) -> list[float]:
    """Seconds of the bare loop, and of the same with checkpoints; in turns, so that both meet the same machine."""
    work = range(of_20_us())

    def body(_: int) -> None:
        sum(work)

    raw = ours = 0.0
    parts = 4
    for part in range(parts):
        began = time.perf_counter()
        for item in range(items // parts):
            body(item)
        middle = time.perf_counter()
        ctx.for_each(range(items // parts), body, every=every, batch=str(part))
        raw += middle - began
        ours += time.perf_counter() - middle
    return [raw, ours]


def resident() -> float:
    """VmRSS in MiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024


def memory(ctx: BlockingJobContext, items: int, every: int) -> list[float]:
    """Resident memory after a tenth of the items and after the last one."""
    seen: list[float] = []

    def body(item: int) -> None:
        if item in (items // 10, items - 1):
            seen.append(resident())

    ctx.for_each(range(items), body, every=every)
    return seen
