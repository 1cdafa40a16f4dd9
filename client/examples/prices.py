"""A job of a project, which its tests in test_prices.py stop and kill wherever they like."""

from __future__ import annotations

import json
from pathlib import Path

from jobkeep import BlockingJobContext


def refresh(ctx: BlockingJobContext, offers: str, prices: str) -> dict[str, int]:
    """Takes over the price of each offer: a JSON object a line, of `article` and `cents`, into a folder of files."""
    folder = Path(prices)
    folder.mkdir(exist_ok=True)

    def one(offer: dict[str, str]) -> str:
        cents = int(offer["cents"])  # one that is no number fails alone, and the others go on
        file = folder / offer["article"]
        if file.exists() and file.read_text(encoding="utf-8") == str(cents):
            return "unchanged"
        # Twice is the same as once: an item may come again after a crash.
        file.write_text(str(cents), encoding="utf-8")
        return "changed"

    rows = [json.loads(line) for line in Path(offers).read_text(encoding="utf-8").splitlines()]
    batch = ctx.for_each(rows, one, key=lambda offer: str(offer["article"]), every=5)
    return batch.tallies
