"""Memory: what goes back to the kernel, and how often Python looks for garbage."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_MMAP_THRESHOLD: Final = -3  # M_MMAP_THRESHOLD of malloc.h
_ARENA_MAX: Final = -8  # M_ARENA_MAX
YOUNG: Final = 10_000  # objects between two collections
_LARGE: Final = 272 << 10  # bytes: more than asyncio asks for at each read, which is to stay cheap


def set_up() -> None:
    """Left to itself glibc learns from large replies to keep such blocks, in a heap that then is full of holes: the
    daemon would stay as large as under the worst attack. And it gives each thread a heap of its own, though ours hardly
    ever run at once. A library that does not know the options is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_ARENA_MAX, 1)


def settle() -> None:
    """Once all is set up: give the kernel what only the start has needed, and look no more at what stays anyway. What
    is made from now on is mostly data in no circle, which a collection has nothing to do with.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
