"""Which queued jobs start now."""

from hypothesis import given
from hypothesis import strategies as st

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.admission import AHEAD, COMMAND, DEEPEST, Behind, Need, depth_behind, need_of, place

WORKER = Need(python="/p", cwd="/c")
needs = st.lists(st.sampled_from([COMMAND, WORKER]), max_size=8)


def test_functions_of_equal_surroundings_share_workers() -> None:
    """Interpreter, directory, environment, umask and limits are what makes a worker fit; any slot limits a command."""
    first = need_of("a", JobSpec(function="m:f"), "e", "/p", "/c")
    assert first == need_of("a", JobSpec(function="m:g", priority=3), "e", "/p", "/c")
    assert first != need_of("a", JobSpec(function="m:f"), "other", "/p", "/c")
    limited = need_of("a", JobSpec(function="m:f", memory_bytes=1 << 30, nice=5), "e", "/p", "/c")
    assert limited != first
    assert limited == need_of("a", JobSpec(function="m:g", memory_bytes=1 << 30, nice=5), "e", "/p", "/c")
    assert need_of("a", JobSpec(command=["true"], cwd="/x", cpu=0.5), "e", "/p", "/c") == COMMAND


seats = st.lists(
    st.builds(Behind, st.sampled_from([COMMAND, WORKER]), st.integers(0, 4), st.integers(1, 4)), max_size=8
)


@given(needs, st.integers(-1, 6), seats)
def test_nobody_overtakes_and_no_seat_has_more_waiting_than_it_may(
    waiting: list[Need], free: int, busy: list[Behind]
) -> None:
    """The jobs placed are a prefix of those that wait; each goes behind a seat that fits and has room."""
    placement = place(waiting, free, busy)
    assert placement.start == min(max(free, 0), len(waiting))
    indices = [index for index, _ in placement.ahead]
    assert indices == list(range(placement.start, placement.start + len(indices)))
    for seat, each in enumerate(busy):
        given_here = [index for index, chosen in placement.ahead if chosen == seat]
        assert not given_here or each.waiting + len(given_here) <= each.depth
    assert all(busy[seat].need == waiting[index] for index, seat in placement.ahead)


@given(st.floats(0, 1e5))
def test_what_waits_behind_a_seat_is_little_work(pace: float) -> None:
    """One job, or as many short ones as pass within the time that is allowed."""
    depth = depth_behind(pace)
    assert 1 <= depth <= DEEPEST
    assert depth == 1 or depth * pace <= AHEAD


def test_a_seat_of_unknown_pace_has_one_waiting() -> None:
    """Nothing is assumed of a seat that has finished no run yet."""
    assert depth_behind(None) == 1
