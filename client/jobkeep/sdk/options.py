"""How a batch is to be gone through, and what comes out of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,127}")


def is_name(text: str) -> bool:
    """Whether a batch or a step may be called so."""
    return _NAME.fullmatch(text) is not None


class Batch(Struct, frozen=True):
    """What became of a batch, over all runs. `tallies` counts its finished items by label, `done` all."""

    tallies: dict[str, int]
    done: int
    failed_items: int


class BatchOptions(Struct, frozen=True, kw_only=True):
    """How a batch is gone through; see JobContext.for_each."""

    key: Callable[[Any], object] | None = None
    every: int | None = None
    concurrency: int = 1
    max_failures: int | None = None
    total: int | None = None
    batch: str | None = None

    def check(self) -> None:
        """Raises ValueError for what makes no sense."""
        if self.every is not None and self.every < 1:
            raise ValueError("every is at least 1")
        if self.concurrency < 1:
            raise ValueError("concurrency is at least 1")
        if self.batch is not None and not is_name(self.batch):
            raise ValueError(f"{self.batch!r} is no name for a batch: letters, digits and ._:@/+- only")
