"""Which job of a key stays, which comes, and which goes."""

from __future__ import annotations

from typing import get_args

import pytest

from jobkeep.protocol.vocabulary import OnConflict
from jobkeepd.core.uniqueness import FREE, Resolution, resolve


@pytest.mark.parametrize("on_conflict", get_args(OnConflict))
def test_a_free_key_is_taken(on_conflict: OnConflict) -> None:
    """Whatever was asked for in case of a conflict."""
    assert resolve(on_conflict, None, False) == FREE


@pytest.mark.parametrize("on_conflict", get_args(OnConflict))
@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("waiter", [True, False])
def test_a_slot_is_empty_or_emptied_before_somebody_gets_it(on_conflict: OnConflict, runs: bool, waiter: bool) -> None:
    """A running holder keeps slot 0 until its run is over, so the newcomer waits behind it."""
    found = resolve(on_conflict, runs, waiter)
    if found.verdict != "insert":
        assert found.cancel == ()
        return
    if found.slot == 0:
        assert not runs
        assert "holder" in found.cancel
    assert not waiter or "waiter" in found.cancel


@pytest.mark.parametrize(
    ("on_conflict", "runs", "waiter", "expected"),
    [
        ("reject", True, False, Resolution("refuse")),
        ("return", False, True, Resolution("answer")),
        ("queue", True, False, Resolution("insert", slot=1)),
        ("queue", True, True, Resolution("refuse", party="waiter")),
        ("replace_queued", False, False, Resolution("insert", cancel=("holder",))),
        ("replace_queued", True, True, Resolution("insert", slot=1, cancel=("waiter",))),
        ("cancel_running", True, False, Resolution("insert", slot=1, cancel=("holder",))),
    ],
)
def test_each_policy_does_what_it_is_called(
    on_conflict: OnConflict, runs: bool, waiter: bool, expected: Resolution
) -> None:
    """One row each; what replaces a queued job lets a running one go on."""
    assert resolve(on_conflict, runs, waiter) == expected
