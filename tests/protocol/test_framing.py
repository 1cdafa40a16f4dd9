"""The splitter against every way to cut a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobkeep.errors import MessageTooLarge
from jobkeep.protocol.framing import FrameSplitter

LIMIT = 64


@given(st.binary(max_size=600), st.lists(st.integers(min_value=1, max_value=90), max_size=40))
def test_any_cut_of_any_stream_gives_the_same_messages(stream: bytes, sizes: list[int]) -> None:
    """However bytes arrive, the messages are what is between the NULs, or the stream is refused."""
    *whole, rest = stream.split(b"\0")
    splitter = FrameSplitter(LIMIT)
    found: list[bytes] = []
    place = 0
    too_large = False
    try:
        for size in [*sizes, len(stream)]:
            found += splitter.feed(stream[place : place + size])
            place += size
    except MessageTooLarge:
        too_large = True

    assert too_large == any(len(message) > LIMIT for message in [*whole, rest])
    if not too_large:
        assert found == whole
        assert splitter.pending == len(rest)


def test_an_unfinished_message_is_refused_as_soon_as_it_is_too_large() -> None:
    """What is kept of a message without an end never exceeds the limit."""
    splitter = FrameSplitter(LIMIT)
    splitter.feed(b"x" * LIMIT)

    with pytest.raises(MessageTooLarge):
        splitter.feed(b"x")
