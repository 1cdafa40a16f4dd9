"""What is drawn at random: job ids and secrets. Many for one call into the kernel."""

from __future__ import annotations

import secrets

LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # no i, l, o, u: read aloud without mistakes
_PAIRS = [first + second for first in LETTERS for second in LETTERS]
_MANY = 128


class Draws:
    """A pool of random bytes, each used once."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def _take(self, count: int) -> bytes:
        if self._used + count > len(self._pool):
            self._pool, self._used = secrets.token_bytes(count * _MANY), 0
        self._used += count
        return self._pool[self._used - count : self._used]

    def cookie(self) -> str:
        """128 bits as 32 hexadecimal digits."""
        return self._take(16).hex()

    def job_id(self) -> str:
        """60 bits as 12 characters; the first 8 are enough to name a job among thousands."""
        bits = int.from_bytes(self._take(8), "big")
        pairs = _PAIRS
        return (
            pairs[bits & 1023] + pairs[bits >> 10 & 1023] + pairs[bits >> 20 & 1023]
            + pairs[bits >> 30 & 1023] + pairs[bits >> 40 & 1023] + pairs[bits >> 50 & 1023]
        )  # fmt: skip
