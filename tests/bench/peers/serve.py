"""How a peer is driven: it says "ready", then the seconds that each number of functions took that it reads."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def serve(run: Callable[[int], None]) -> None:
    """Until its standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        run(int(line))
        print(time.perf_counter() - began, flush=True)
