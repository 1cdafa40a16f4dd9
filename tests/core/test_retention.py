"""What goes by age and by count, whatever there is: the young among the latest stay, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobkeepd.core.model import Entry
from jobkeepd.core.retention import NEWEST_EVENTS, Ended, Keep, doomed, forgettable, light

NOW = 1000.0
KEEPS = st.builds(Keep, st.sampled_from([0.0, 1.0, 50.0, 5000.0]), st.sampled_from([0, 1, 3, 50]))
DATES = st.lists(st.floats(0, 1100), max_size=30).map(sorted)


@given(DATES, KEEPS, st.integers(1, 40))
def test_the_latest_and_the_young_stay_and_all_others_go(dates: list[float], keep: Keep, step: int) -> None:
    """Step by step, of a queue that is shown in part; also what ended in the future by a clock that was set back."""
    left = [Ended(f"j{number}", at) for number, at in enumerate(dates)]
    everything = left
    while gone := doomed(left[:step], len(left), keep, NOW):
        assert gone == left[: len(gone)]  # the oldest first
        left = left[len(gone) :]
    young = [job for job in everything if not keep.age or job.at >= NOW - keep.age]
    latest = everything[-keep.count :] if keep.count else everything
    assert left == [job for job in everything if job in young and job in latest]


@given(st.lists(st.integers(0, 9), max_size=9), st.integers(0, 12))
def test_a_step_is_light_and_goes_on(items: list[int], most: int) -> None:
    """The first jobs, as many as have few enough failed items together; and one that has more, alone."""
    jobs = [Ended(f"j{number}", 0.0, count) for number, count in enumerate(items)]
    step = light(jobs, most)
    assert step == jobs[: len(step)]
    assert bool(step) == bool(jobs)
    assert len(step) <= 1 or sum(job.items for job in step) <= most
    assert len(step) == len(jobs) or sum(job.items for job in jobs[: len(step) + 1]) > most


@given(st.integers(0, 2500), st.integers(0, 2500), KEEPS, st.floats(0, 1000))
def test_the_newest_events_stay_in_any_case(before: int, after: int, keep: Keep, at: float) -> None:
    """A page of one age, somewhere in the journal: it goes up to a seq that is neither young nor among the latest."""
    last = before + after
    page = [Entry(seq=seq, at=at, kind="odd") for seq in range(before + 1, min(before + 501, last + 1))]
    through = forgettable(page, last, keep, NOW)
    gone = [] if through is None else [entry.seq for entry in page if entry.seq <= through]
    old = bool(keep.age) and at < NOW - keep.age
    assert gone == [
        entry.seq for entry in page
        if entry.seq <= last - NEWEST_EVENTS and (old or (keep.count and entry.seq <= last - keep.count))
    ]  # fmt: skip
