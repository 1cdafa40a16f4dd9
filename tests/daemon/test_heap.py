"""What becomes of memory that nobody uses any more."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from jobkeepd import heap


class Thing:
    """May refer to itself."""

    itself: Thing


@pytest.fixture
def settled() -> Iterator[None]:
    before = gc.get_threshold()
    heap.settle()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # as it was: else each later collection of this process looks at all of it


def ring() -> weakref.ref[Thing]:
    thing = Thing()
    thing.itself = thing
    return weakref.ref(thing)


@pytest.mark.usefixtures("settled")
def test_garbage_in_a_circle_goes_by_itself_in_a_daemon_that_has_settled() -> None:
    """Collections are rarer by then, and there are some: an error that holds a large message is such a circle."""
    assert gc.get_freeze_count() > 0
    gone, made = ring(), []
    for _ in range(2 * heap.YOUNG):
        made.append([])  # what a collection is counted by
    assert gone() is None


@pytest.mark.usefixtures("settled")
def test_what_the_start_has_left_in_circles_is_not_kept() -> None:
    """Garbage of before is collected before it could be taken for what stays."""
    gone = ring()
    gc.unfreeze()
    heap.settle()
    assert gone() is None
