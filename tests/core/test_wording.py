"""What is said of things, in words."""

from __future__ import annotations

import pytest

from jobkeepd.core.wording import occupied


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ("k3x9a0b1c2d3.2", "its run is under way"),
        ("worker-s013c9530", "it is a worker, and waits for its next run"),
        (None, "its slot sees to its end"),
    ],
)
def test_a_process_of_a_slot_says_why_it_is_left_alone(run: str | None, why: str) -> None:
    """An idle worker has no run, but a name of its own."""
    assert occupied(run) == why
