"""The batch that a browser looks at: it fails now and then, prints what would like to be a script, and can be held."""

from __future__ import annotations

EVIL = "<script>alert(1)</script>"
GATES = (40, 200, 390)  # items at which the batch waits, each for a file of that name
BATCH = f"""
import os

GATES = {GATES}

async def work(ctx, count: int, gate: str, password: str) -> dict:
    async def one(item: int) -> str:
        while any(item >= at and not os.path.exists(f"{{gate}}{{at}}") for at in GATES):
            await ctx.sleep(0.02)
        await ctx.sleep(0.01)
        assert item % 20 != 9, "no such address {EVIL}"
        if item % 4 == 0:
            print(f"\\x1b[32mitem {{item}}\\x1b[0m \\u202eturned {EVIL}", flush=True)
        return "sent"
    return (await ctx.for_each(range(count), one, key=str, every=2)).tallies
"""
