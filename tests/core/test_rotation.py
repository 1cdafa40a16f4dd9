"""Which part of a run's output is where, and what of it goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobkeepd.core.rotation import (
    SMALLEST,
    Extent,
    Part,
    Rule,
    cut_to,
    extent,
    gone,
    next_part,
    part_of,
    shorten,
    surplus,
)

MIB = 1 << 20
LINE = (64 << 10) - 1  # bytes by which a cut moves back to the end of a line, at most


class Imagined:
    """A stream of which it is known where all of it is, and of long lines, so that cuts are as far off as can be."""

    def __init__(self, size: int, parts: tuple[Part, ...] = ()) -> None:
        self.there = Extent(size, parts)
        self.copied = 0

    def extent(self) -> Extent:
        return self.there

    def move(self, part: Part) -> None:
        assert part.begin == self.there.base
        part = Part(part.begin, part.end - min(LINE, part.size // 2))
        self.copied += part.size
        self.there = extent(self.there.size, {*self.there.parts, part})

    def drop(self, to: int) -> None:
        base = self.there.base
        parts = {part for part in self.there.parts if part.begin >= to and part.size}
        begin = max(base, to - min(LINE, (to - base) // 2))
        self.there = extent(self.there.size, parts or {Part(begin, begin)})


def test_what_is_there_is_read_off_the_names() -> None:
    """Those that lead to the file's own beginning without a gap; others were about to be deleted."""
    found = [Part(0, 10), Part(20, 30), Part(30, 45)]
    there = extent(60, found)
    assert (there.first, there.base, there.own, there.kept) == (20, 45, 15, 40)
    assert gone(found, there) == [Part(0, 10)]


def test_an_empty_part_says_where_a_file_begins_of_which_nothing_older_is_kept() -> None:
    """It is needed for as long as no other part says so."""
    alone, followed = extent(60, [Part(40, 40)]), extent(60, [Part(40, 40), Part(40, 50)])
    assert (alone.first, alone.base, alone.kept) == (40, 40, 20)
    assert (followed.first, followed.base) == (40, 50)
    assert gone([Part(40, 40), Part(40, 50)], followed) == [Part(40, 40)]


@pytest.mark.parametrize(
    "name",
    [
        "draft", "1-2", f"{5:020}-{4:020}", f"{1:020}-{2:020}.gz", f"{1:020}-{2:020}\n", "", f"{0:020}-{1 << 63:020}",
    ],
)  # fmt: skip
def test_what_is_no_name_of_a_part_is_none(name: str) -> None:
    """A copy that was not finished, and whatever somebody has put there."""
    assert part_of(name) is None


@given(st.integers(0, 1 << 60), st.integers(0, 1 << 60))
def test_a_part_is_found_again_by_its_name(begin: int, size: int) -> None:
    """Names also sort as their parts do."""
    part = Part(begin, begin + size)
    assert part_of(part.name) == part


@given(
    st.integers(0, 64 * MIB),
    st.integers(SMALLEST, 8 * MIB),
    st.integers(0, 6),
    st.lists(st.integers(1, 4 * MIB), max_size=8),
)
def test_whatever_was_written_a_rule_bounds_what_is_kept_and_the_newest_half_stays(
    more: int, most: int, keep: int, sizes: list[int]
) -> None:
    """Its own file and `keep` parts, none larger than the rule says; and it is not copied what goes anyway."""
    ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    parts = tuple(Part(end - size, end) for size, end in zip(sizes, ends, strict=True))
    log = Imagined(sum(sizes) + more, parts)
    before = log.there

    shorten(log, Rule(most, keep))

    there = log.there
    assert there.size == before.size
    assert there.own <= most
    assert sum(bool(part.size) for part in there.parts) <= keep
    assert there.kept >= min(before.own, most // 2)
    assert log.copied <= (keep + 1) * most
    assert (next_part(there, Rule(most, keep)), surplus(there, keep)) == (None, None)


def test_without_a_limit_nothing_moves() -> None:
    """However much there is."""
    assert next_part(Extent(1 << 50), Rule(0, 1)) is None


@given(st.lists(st.integers(0, 1000), max_size=12), st.integers(0, 5000))
def test_users_logs_are_cut_where_they_are_longest(kept: list[int], most: int) -> None:
    """Within the limit; what is below an equal share loses nothing, and nobody who gives has less than who does not."""
    stay = cut_to(kept, most)

    assert sum(stay) <= most or stay == kept == [0] * len(kept)
    assert all(0 <= left <= size for left, size in zip(stay, kept, strict=True))
    if sum(kept) <= most:
        assert stay == kept
    else:
        share = (most - most // 8) // len(kept)
        assert all(left == size for left, size in zip(stay, kept, strict=True) if size <= share)
        cut = [left for left, size in zip(stay, kept, strict=True) if left < size]
        assert set(cut) == {max(stay)}
