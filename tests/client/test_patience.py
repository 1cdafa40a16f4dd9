"""How long a daemon that is away is waited for."""

from __future__ import annotations

from itertools import count

import pytest

from jobkeep.client import patience
from jobkeep.client.patience import Patience


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The last entry is the time."""
    times = [100.0]
    monkeypatch.setattr(patience, "monotonic", lambda: times[-1])
    return times


def test_a_program_that_was_held_up_itself_still_tries_a_second_time(clock: list[float]) -> None:
    """A busy or stopped host may let all the time pass between a break and the look at it."""
    patience = Patience(10.0)
    clock.append(1000.0)
    assert not patience.over()
    assert patience.pause() == 0.0
    assert patience.over()


def test_it_ends_after_its_time_with_pauses_that_grow(clock: list[float]) -> None:
    """The first attempt follows at once, the last one when the time is over."""
    patience, pauses = Patience(10.0), []
    while not patience.over():
        pauses.append(patience.pause())
        clock.append(clock[-1] + pauses[-1])
    assert pauses[:4] == [0.0, 0.02, 0.04, 0.08]
    assert max(pauses) == 0.5
    assert 10.0 <= sum(pauses) < 10.5


def test_a_connection_that_has_held_begins_the_time_anew(clock: list[float]) -> None:
    """One that breaks at once each time does not."""
    patience = Patience(10.0)
    for began in count(100):
        patience.pause()
        clock.append(began + 0.9)
        patience.held_since(began)
        if patience.over():
            break
        clock.append(began + 1.0)
    assert clock[-1] == 110.9
    patience.held_since(clock[-1] - 1.0)
    assert (patience.over(), patience.pause()) == (False, 0.0)
