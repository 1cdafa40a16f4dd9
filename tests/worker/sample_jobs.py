"""Functions for the tests of the worker; each test finds them as module `sample` in the worker's folder."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from jobkeep import Permanent
from jobkeep.sdk import BlockingJobContext, JobContext

NOT_CALLABLE = 7


def add(a: int, b: int = 1) -> int:
    return a + b


def read(path: Path) -> str:
    return path.read_text()


async def add_async(a: int, b: int = 1) -> int:
    await asyncio.sleep(0)
    return a + b


def echo(**anything: Any) -> dict[str, Any]:
    return anything


def seen() -> list[str]:
    own = [os.environ[f"JOBKEEP_{name}"] for name in ("JOB", "RUN", "COOKIE")]
    return [*own, os.getcwd(), sys.path[0]]


async def context(context: JobContext, where: Path) -> list[Any]:
    return [context.job_id, context.run_number, context.name, context.restored, where.name]


def blocking_context(ctx: Any) -> str:
    return type(ctx).__name__


def fail(message: str) -> None:
    raise LookupError(message)


def fail_for_good(grouped: bool) -> None:
    closed = Permanent("the account is closed")
    if not grouped:
        raise closed from LookupError("no such row")
    raise ExceptionGroup("several", [ValueError("other"), ExceptionGroup("inner", [closed])])


async def fail_async() -> None:
    await asyncio.sleep(0)
    raise LookupError("later")


def leave(code: int | str | None) -> None:
    raise SystemExit(code)


async def leave_async() -> None:
    await asyncio.sleep(0)
    sys.exit()


def large() -> str:
    return "x" * (256 << 10)


def not_json() -> object:
    return object()


def not_finite(depth: int) -> list[Any]:
    value: list[Any] = [None, float("-inf")]
    for _ in range(depth):
        value = [value]
    return value


def unlike_json() -> list[Any]:
    return [{1}, (2, None), 2**70, date(2026, 1, 2)]


def not_finite_state(ctx: BlockingJobContext) -> None:
    ctx.checkpoint({"mean": float("nan")})


def talk() -> None:
    print("first")
    sys.stdout.write("no end of line")
    sys.stdout.flush()
    os.write(1, b"\x00\xff raw\n")
    subprocess.run(["/bin/sh", "-c", "echo child; echo complaint >&2"], check=True)
    sys.stderr.write("last words")


async def wait_for_ever() -> None:
    print("waiting", flush=True)
    await asyncio.sleep(3600)


async def swallow() -> str:
    print("waiting", flush=True)
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)
    return "late"


async def swallow_often(times: int) -> list[float]:
    """The seconds between one cancellation and the next."""
    print("waiting", flush=True)
    moments: list[float] = []
    while len(moments) < times:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        moments.append(time.monotonic())
    return [later - earlier for earlier, later in pairwise(moments)]


async def look(ctx: JobContext) -> str:
    assert ctx.stop_reason is None
    print("waiting", flush=True)
    while ctx.stop_reason is None:
        await asyncio.sleep(0.005)
    return f"looked: {ctx.stop_reason}"


async def look_twice(ctx: JobContext) -> None:
    print("waiting", flush=True)
    while ctx.stop_reason is None:
        await asyncio.sleep(0.005)
    print(ctx.stop_reason, flush=True)
    await asyncio.sleep(3600)


def sleep_blocking(ctx: BlockingJobContext) -> None:
    ctx.progress(1)
    ctx.sleep(3600)


async def items(ctx: JobContext, number: int, wait_at: int | None = None, gate: str = "") -> dict[str, int]:
    async def one(item: int) -> str:
        if item == wait_at:
            await ctx.progress(note="at the gate")
            while not os.path.exists(gate):  # noqa: ASYNC240 - the test is another process
                await asyncio.sleep(0.005)
        if item % 4 == 3:
            raise ValueError(f"no {item}")
        return "ok"

    return (await ctx.for_each(range(number), one)).tallies


def items_blocking(ctx: BlockingJobContext, number: int) -> dict[str, int]:
    def one(item: int) -> str:
        if item % 4 == 3:
            raise ValueError(f"no {item}")
        return "ok"

    return ctx.for_each(range(number), one).tallies


async def long_item(ctx: JobContext) -> None:
    async def one(item: int) -> None:
        if item:
            await asyncio.sleep(3600)

    await ctx.for_each(range(2), one)


def checkpoint_at_gate(ctx: BlockingJobContext, gate: str) -> str:
    ctx.progress(1)
    while not os.path.exists(gate):
        time.sleep(0.005)
    ctx.checkpoint({"at": "gate"})
    return "through"


def steps_at_gate(ctx: BlockingJobContext, gate: str, last: str | None = None) -> list[Any]:
    """Two steps, a gate, two more with perhaps a gate before the last; a result says which process has run its step."""
    results = []
    for number in range(4):
        awaited = {2: gate, 3: last or gate}.get(number)
        ctx.progress(number)
        while awaited and not os.path.exists(awaited):
            time.sleep(0.005)
        results.append(ctx.step(f"step{number}", lambda number=number: [number, os.getpid()]))
    return results


async def steps_async(ctx: JobContext) -> list[Any]:
    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    return [await ctx.step("async", add, 1, 2), await ctx.step("thread", os.getpid)]


def spin(ctx: BlockingJobContext) -> None:
    ctx.progress(1)
    while True:
        time.sleep(0.01)


async def block_loop(begin: str, gate: str) -> None:
    while not os.path.exists(begin):  # noqa: ASYNC240 - the test is another process
        await asyncio.sleep(0.005)
    print("blocked", flush=True)
    while not os.path.exists(gate):  # noqa: ASYNC240 - it blocks the loop on purpose
        time.sleep(0.005)  # noqa: ASYNC251 - as above


def leave_thread() -> None:
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def leave_thread_at_gate(ctx: BlockingJobContext, gate: str) -> None:
    ctx.progress(1)
    while not os.path.exists(gate):
        time.sleep(0.005)
    leave_thread()


async def leave_thread_at_gate_async(ctx: JobContext, gate: str) -> None:
    await ctx.progress(1)
    while not os.path.exists(gate):  # noqa: ASYNC240 - the test is another process
        await asyncio.sleep(0.005)
    leave_thread()


def leave_child() -> None:
    subprocess.Popen(["sleep", "60"])


async def spawn_async(ctx: JobContext, stubborn: str | None = None) -> list[Any]:
    """A child that is waited for, and one that is not; it ignores TERM once the file `stubborn` is there."""
    child = await ctx.spawn(["/bin/sh", "-c", "echo from a child; exit 3"])
    script = "echo ready; exec sleep 3600"
    if stubborn is not None:
        script = f"trap '' TERM; echo ready; : > {stubborn}; while :; do sleep 0.01; done"
    left = await ctx.spawn(["/bin/sh", "-c", script])
    while stubborn is not None and not os.path.exists(stubborn):  # noqa: ASYNC240 - the child is another process
        await asyncio.sleep(0.005)
    return [await child.wait(), left.pid, left.returncode]


def spawn_blocking(ctx: BlockingJobContext) -> int:
    child = ctx.spawn(["sleep", "3600"])
    print(child.pid, flush=True)
    return child.wait()


async def leave_task() -> str:
    leftover.append(asyncio.create_task(asyncio.sleep(3600)))
    return "left"


async def use_thread() -> int:
    return await asyncio.to_thread(threading.get_ident)


def touched() -> bool:
    return bool(leftover)


leftover: list[Any] = []

kept: ContextVar[str] = ContextVar("kept", default="nothing")


async def keep_in_context() -> str:
    before = kept.get()
    kept.set("something")
    return before


async def cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


async def cancel_own() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(3600)
