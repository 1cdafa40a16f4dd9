"""Bounds of words and texts on the wire."""

import msgspec
import pytest

from jobkeep.protocol.vocabulary import JobId, Name, RequestId, Text


@pytest.mark.parametrize(("kind", "good"), [(Name, "nightly"), (JobId, "abc"), (RequestId, "r-1"), (Text, "a word")])
def test_nothing_ends_in_a_newline(kind: type, good: str) -> None:
    """`$` would let one through, and it would fake a line in a log."""
    assert msgspec.convert(good, kind) == good
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(good + "\n", kind)
