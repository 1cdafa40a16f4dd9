"""A real daemon under attack: it stays as small as it was, and answers others. `make hostile` is the long form."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hostile.scene import GROWTH, MIB, Scene, scene


@pytest.fixture(scope="module")
def place() -> Iterator[Scene]:
    with scene() as found:
        yield found


def test_those_who_never_read_do_not_grow_the_daemon(place: Scene) -> None:
    """Sixty that send calls for the largest replies ahead, until it has dropped ten of them."""
    outcome = place.attack("deaf", ["deaf", "60", "10"])
    print(outcome)

    assert outcome.grown < GROWTH, f"by {outcome.grown / MIB:.0f} MiB"
    assert outcome.done[0] >= 10
    assert outcome.took
    assert place.daemon.pid


def test_others_are_served_whatever_is_sent(place: Scene) -> None:
    """Idle, slow, half open and flooding connections, and damaged calls, all at once."""
    before = place.daemon.pid
    outcome = place.attack(
        "all", ["idle", "50"], ["slow", "20"], ["half", "20"], ["flood", "3"], ["fuzz", "200", "1"]
    )
    print(outcome)

    assert outcome.done == [50, 20, 20, 3, 200]
    assert outcome.grown < GROWTH, f"by {outcome.grown / MIB:.0f} MiB"
    assert outcome.took
    assert outcome.lost == 0
    assert place.daemon.pid == before
