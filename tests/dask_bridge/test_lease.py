"""How long a task on the cluster may go on, by its own clock. Without a cluster."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from dask_bridge.test_refusals import Worker, carried_out
from jobkeep.dask_bridge import lease as leasing
from jobkeep.dask_bridge.lease import Lease


class Clock:
    """Stands still unless it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_lease_lasts_from_the_newest_sign_of_life_that_was_heard(clock: Clock) -> None:
    """From the moment it was given, whenever the word of that arrives."""
    lease = Lease(60.0, clock)
    for number, at in ((1, 1000.0), (4, 1010.0), (9, 1020.0)):
        lease.gives(number, at)
    clock.now = 1030.0
    assert lease.left == 30.0
    lease.heard(8)
    assert lease.left == 40.0
    lease.heard(8)
    assert lease.left == 40.0
    lease.heard(9)
    assert lease.left == 50.0
    assert not lease.is_over
    clock.now = 1080.0
    assert lease.is_over


def test_words_that_a_process_finds_when_it_has_stood_still_renew_nothing(clock: Clock) -> None:
    """They are older than its sleep, as what they say was heard is."""
    lease = Lease(60.0, clock)
    lease.gives(1, clock.now)
    clock.now += 600.0
    lease.heard(1)
    assert lease.is_over


def test_the_clock_of_a_lease_counts_the_time_in_which_the_host_was_suspended() -> None:
    """Its bridge is on another host, and has counted it."""
    assert abs(leasing.passed() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1.0


_clock = Clock()


async def batch(ctx: Any, at_once: int) -> None:
    """Its process stands still in its third item, for longer than its lease."""
    done: list[int] = []

    def one(item: int) -> None:
        done.append(item)
        if item == 2:
            _clock.now += 61.0

    try:
        await ctx.for_each(range(100), one, every=1000, concurrency=at_once)
    finally:
        assert len(done) == 3, done


def plain_batch(ctx: Any) -> None:
    """As the other one."""
    done: list[int] = []

    def one(item: int) -> None:
        done.append(item)
        if item == 2:
            _clock.now += 61.0

    try:
        ctx.for_each(range(100), one, every=1000)
    finally:
        assert len(done) == 3, done


@pytest.mark.parametrize(
    ("function", "arguments"), [("batch", b'{"at_once": 1}'), ("batch", b'{"at_once": 2}'), ("plain_batch", b"{}")]
)
def test_a_function_whose_lease_ended_while_its_process_stood_still_does_not_begin_another_item(
    function: str, arguments: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though no other thread has got round to telling it."""
    monkeypatch.setattr(leasing.Lease.__init__, "__defaults__", (_clock,))
    ended = carried_out(monkeypatch, f"dask_bridge.test_lease:{function}", Worker(), arguments=arguments)
    assert (ended.outcome, ended.reason, ended.error) == ("interrupted", "lease lost", None)
