"""Sizes as people write them: `512M`, `1.5G`; a K is 1024 bytes. Standard library only."""

from __future__ import annotations

import re

LARGEST = 1 << 50
ROOM_NEEDED = 13 << 20  # bytes: with less on its disk a daemon whose disk was full takes no jobs
_UNITS = "KMGT"
_SIZE = re.compile(r"(\d{1,16}(?:\.\d{1,6})?)(?:([KMGT])(?:i?B)?|B)?", re.ASCII | re.IGNORECASE)


def to_bytes(value: int | str) -> int:
    """Bytes of a number (already bytes) or of text. Raises ValueError, also beyond 1 PiB."""
    if isinstance(value, str):
        found = _SIZE.fullmatch(value.strip())
        if found is None:
            raise ValueError(f"not a size: {value!r}; write it like 512M or 1.5G")
        number, unit = found[1], found[2]
        value = int(float(number) * 1024 ** (_UNITS.index(unit.upper()) + 1)) if unit else int(float(number))
    if not 0 <= value <= LARGEST:
        raise ValueError(f"a size is between 0 and 1 PiB, not {value!r}")
    return value


def in_words(size: int) -> str:
    """512 MiB, 1.5 GiB."""
    unit = "bytes"
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.1f}".removesuffix(".0") + f" {unit}"


def dropped(size: int) -> str:
    """What stands in the place of output that is not there any more."""
    return f"… {in_words(size)} of older output dropped by rotation"
