"""Leases: dated in monotonic time and a boot, told apart by a token that only rises."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobkeepd.core import lease
from jobkeepd.core.lease import ClientHolder, Lock, RunHolder, Seen, judge_hold
from jobkeepd.core.model import Identity, Moment

BOOT = "boot-1"
ALIVE, DEAD, UNKNOWN = Seen(True), Seen(False), Seen(None)


def client(name: str = "c1") -> ClientHolder:
    return ClientHolder(name, 1000, Identity(BOOT, 42, 7))


def at(seconds: float, boot: str = BOOT) -> Moment:
    return Moment(boot, seconds)


def held(holder: lease.Holder, since: float = 100.0, ttl: float = 60.0) -> Lock:
    lock = lease.take(Lock(name="l"), holder, ttl, 1.0, at(since))
    assert lock is not None
    return lock


def test_a_held_lock_is_nobody_elses_until_its_lease_is_over() -> None:
    """A second owner is impossible; after the ttl the next one has a higher token."""
    lock = held(client())
    assert lease.take(lock, client("c2"), 60.0, 2.0, at(159.9)) is None
    other = lease.take(lock, client("c2"), 60.0, 2.0, at(160.0))
    assert other is not None
    assert other.token == lock.token + 1


def test_who_asks_again_for_what_it_holds_gets_the_same_token() -> None:
    """Its first answer was lost on the way."""
    lock = held(client())
    again = lease.take(lock, client(), 60.0, 9.0, at(130.0))
    assert again is not None
    assert (again.token, again.acquired_at, again.renewed) == (lock.token, lock.acquired_at, at(130.0))


def test_a_lease_of_another_boot_is_over() -> None:
    """Whatever its clock said."""
    assert lease.is_over(held(client()), at(100.0, "boot-2"))


def test_a_runs_lock_does_not_expire_by_itself() -> None:
    """It goes with the end of the run, in one commit."""
    lock = held(RunHolder("j1", 1))
    assert not lease.is_over(lock, at(1e9))
    assert lease.take(lock, client(), 60.0, 2.0, at(1e9)) is None


@given(st.lists(st.tuples(st.sampled_from(["take", "go", "reset"]), st.sampled_from("abc"), st.floats(0, 90))))
def test_tokens_only_rise_and_each_owner_has_its_own(steps: list[tuple[str, str, float]]) -> None:
    """Through any sequence of taking, letting go, resetting and running out."""
    lock, now, owners = Lock(name="l"), 0.0, {}
    for deed, who, pause in steps:
        now += pause
        before = lock
        if deed == "take":
            lock = lease.take(lock, client(who), 60.0, now, at(now)) or lock
        elif deed == "go" and lock.holder is not None:
            lock = lease.let_go(lock)
        elif deed == "reset":
            lock = lease.reset(lock)
        assert lock.token >= before.token
        if lock.holder is not None:
            assert owners.setdefault(lock.token, lock.holder) == lock.holder


def test_death_frees_at_once_and_silence_after_the_ttl() -> None:
    """No waiting for a time-out where the kernel knows better."""
    lock = held(client())
    assert judge_hold(lock, DEAD, at(100.1), 12600.0, "report") == "release"
    assert judge_hold(lock, ALIVE, at(159.0), 12600.0, "report") == "keep"
    assert judge_hold(lock, ALIVE, at(160.0), 12600.0, "report") == "release"


def test_after_max_hold_only_whom_nobody_can_verify_loses_the_lock() -> None:
    """A holder verified alive is told of, or ended where the configuration says so."""
    lock = held(RunHolder("j1", 1))
    late = at(100.0 + 12600.0)
    assert judge_hold(lock, UNKNOWN, at(12000.0), 12600.0, "report") == "keep"
    assert judge_hold(lock, UNKNOWN, late, 12600.0, "report") == "release"
    assert judge_hold(lock, ALIVE, late, 12600.0, "report") == "report"
    assert judge_hold(lock, ALIVE, late, 12600.0, "end") == "end"
