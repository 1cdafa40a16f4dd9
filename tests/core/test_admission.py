"""Which queued jobs start now."""

from hypothesis import given
from hypothesis import strategies as st
from jobkeep.protocol.jobs import JobSpec

from jobkeepd.core.admission import COMMAND, Need, need_of, place

WORKER = Need(python="/p", cwd="/c")
needs = st.lists(st.sampled_from([COMMAND, WORKER]), max_size=8)


def test_functions_of_equal_surroundings_share_workers() -> None:
    """Interpreter, directory, environment and umask are what makes a worker fit."""
    first = need_of(JobSpec(function="m:f"), "e", "/p", "/c")
    assert first == need_of(JobSpec(function="m:g", priority=3), "e", "/p", "/c")
    assert first != need_of(JobSpec(function="m:f"), "other", "/p", "/c")
    assert need_of(JobSpec(command=["true"], cwd="/x"), "e", "/p", "/c") == COMMAND


@given(needs, st.integers(-1, 6), needs)
def test_nobody_overtakes_and_no_seat_has_two_waiting(waiting: list[Need], free: int, busy: list[Need]) -> None:
    """The jobs placed are a prefix of those that wait; each seat is given once, to a job that fits."""
    placement = place(waiting, free, busy)
    assert placement.start == min(max(free, 0), len(waiting))
    indices = [index for index, _ in placement.ahead]
    assert indices == list(range(placement.start, placement.start + len(indices)))
    seats = [seat for _, seat in placement.ahead]
    assert len(set(seats)) == len(seats)
    assert all(busy[seat] == waiting[index] for index, seat in placement.ahead)
