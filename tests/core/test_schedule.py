"""The times that cron expressions name, and which of them are fired."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.firing import MOST_MISSED, PUNCTUAL, Schedule, Terms, decide, obey, redefined
from jobkeepd.core.model import Peer
from jobkeepd.core.queueing import Deed
from jobkeepd.core.schedule import check_schedule, due_between, in_fields, times_after

ME = Peer(1000, 1000, 42)
BERLIN, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")
ZONES = st.sampled_from([ZoneInfo("UTC"), BERLIN, LORD_HOWE, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")])
CRONS = st.sampled_from(
    [
        "* * * * *", "*/20 * * * *", "0,30 * * * *", "30 2 * * *", "*/20 2 * * *", "15 1-3 * * 0", "0 3 * * *",
        "0 0 1 * *",
    ]
)  # fmt: skip
# around both changes of the clock in each of the zones
STARTS = st.integers(0, 3 * 365 * 48).map(lambda half_hours: 1_767_225_600.0 + half_hours * 1800)


def local(expression: str, zone: ZoneInfo, after: datetime, count: int) -> list[str]:
    found = islice(times_after(expression, zone, after.timestamp()), count)
    return [datetime.fromtimestamp(at, zone).isoformat() for at in found]


@pytest.mark.parametrize(
    ("short", "times"),
    [
        ("@hourly", ["2030-02-14T14:00:00+01:00", "2030-02-14T15:00:00+01:00"]),
        ("@daily", ["2030-02-15T00:00:00+01:00", "2030-02-16T00:00:00+01:00"]),
        (" @midnight", ["2030-02-15T00:00:00+01:00", "2030-02-16T00:00:00+01:00"]),
        ("@weekly", ["2030-02-17T00:00:00+01:00", "2030-02-24T00:00:00+01:00"]),
        ("@monthly", ["2030-03-01T00:00:00+01:00", "2030-04-01T00:00:00+02:00"]),
        ("@yearly", ["2031-01-01T00:00:00+01:00", "2032-01-01T00:00:00+01:00"]),
    ],
)
def test_shorthands_of_cron_are_known(short: str, times: list[str]) -> None:
    """And stand for five fields, which are all that an older daemon knows."""
    check_schedule(short)
    assert local(short, BERLIN, datetime(2030, 2, 14, 13, 30, tzinfo=BERLIN), 2) == times
    assert local(in_fields(short), BERLIN, datetime(2030, 2, 14, 13, 30, tzinfo=BERLIN), 2) == times
    assert len(in_fields(short).split()) == 5


@pytest.mark.parametrize("expression", ["30 2 * * *", "*/30 2 * * *"])
def test_a_time_that_comes_twice_is_named_once(expression: str) -> None:
    """The first of the two, wherever one begins to count; the next one is the next day's."""
    times = local(expression, BERLIN, datetime(2030, 10, 27, 2, 29, tzinfo=BERLIN), 2)
    assert times[0] == "2030-10-27T02:30:00+02:00"
    assert times[1].startswith("2030-10-28T02:")
    (later,) = local(expression, BERLIN, datetime(2030, 10, 27, 2, 15, fold=1, tzinfo=BERLIN), 1)
    assert later.startswith("2030-10-28T02:")


@pytest.mark.parametrize("expression", ["30 2 * * *", "*/30 2 * * *", "15,45 2 31 3 *"])
def test_a_time_that_is_left_out_is_named_once_right_after(expression: str) -> None:
    """However many of them fall into the hour that there is not."""
    times = local(expression, BERLIN, datetime(2030, 3, 31, 1, 0, tzinfo=BERLIN), 2)
    assert times[0] == "2030-03-31T03:00:00+02:00"
    assert times[1] > "2030-04-01T02:"


def test_every_hour_goes_by_distance() -> None:
    """Also through an hour that comes twice, or is left out."""
    for after in (datetime(2030, 10, 27, tzinfo=BERLIN), datetime(2030, 3, 31, tzinfo=BERLIN)):
        times = list(islice(times_after("*/30 * * * *", BERLIN, after.timestamp()), 12))
        assert {later - earlier for earlier, later in pairwise(times)} == {1800.0}


@settings(max_examples=100, deadline=None)
@given(CRONS, ZONES, STARTS, st.integers(1, 40))
def test_times_rise_and_do_not_depend_on_where_one_begins(
    expression: str, zone: ZoneInfo, start: float, steps: int
) -> None:
    """Going on from any of them gives the same ones: so none is named twice, or left out, by a crash in between."""
    at_once = list(islice(times_after(expression, zone, start), steps))
    assert all(earlier < later for earlier, later in pairwise([start, *at_once]))
    one_by_one, at = [], start
    for _ in range(steps):
        at = next(times_after(expression, zone, at))
        one_by_one.append(at)
    assert one_by_one == at_once


@settings(max_examples=60, deadline=None)
@given(CRONS, ZONES, STARTS, st.floats(0, 12 * 3600))
def test_times_do_not_depend_on_a_start_between_them(
    expression: str, zone: ZoneInfo, start: float, later: float
) -> None:
    """A start within an hour that comes twice included."""
    after = start + later
    expected = next(at for at in times_after(expression, zone, start) if at > after)
    assert next(times_after(expression, zone, after)) == expected


@settings(max_examples=60, deadline=None)
@given(CRONS, ZONES, STARTS, st.floats(0, 12 * 3600), st.integers(1, 50))
def test_what_is_due_are_the_latest_times_and_the_count_of_the_others(
    expression: str, zone: ZoneInfo, start: float, length: float, most: int
) -> None:
    """Both ends: not `after` itself, `until` included."""
    expected = list(takewhile(lambda at: at <= start + length, times_after(expression, zone, start)))
    found, earlier = due_between(expression, zone, start, start + length, most)
    assert found == expected[-most:]
    assert earlier == len(expected) - len(found)


def test_years_of_minutes_are_looked_at_in_a_moment() -> None:
    """The latest are found; how many there were is told as far as was looked."""
    until = 1_900_000_000.0
    found, earlier = due_between("* * * * *", ZoneInfo("UTC"), until - 5 * 365 * 86400, until, 3)
    assert found == [until - until % 60 - 120, until - until % 60 - 60, until - until % 60]
    assert earlier >= 3_000


@pytest.mark.parametrize("expression", ["", "* * * *", "0 0 2 * * *", "61 * * * *", "0 0 30 2 *", "0 0 31 4 *", "x"])
def test_what_names_no_time_is_refused(expression: str) -> None:
    """At once, rather than never firing."""
    with pytest.raises(ValueError, match="cron|fields|no time"):
        check_schedule(expression)


def schedule(cron: str = "* * * * *", missed: str = "run_once", cursor: float = 0.0) -> Schedule:
    spec = JobSpec(command=["true"])
    terms = Terms(cron=cron, timezone="UTC", spec=spec, environment=None, owner=ME, missed=missed)  # type: ignore[arg-type]
    return Schedule(name="s", terms=terms, cursor=cursor)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["skip", "run_once", "run_all"]),
    st.sampled_from(["* * * * *", "*/20 * * * *", "30 2 * * *"]),
    st.lists(st.sampled_from([-7200.0, -1.0, 0.0, 30.0, 61.0, 3600.0, 20_000.0]), min_size=1, max_size=12),
)
def test_each_time_is_settled_once_however_the_clock_goes(missed: str, cron: str, steps: list[float]) -> None:
    """Sleep, crashes, clocks that are set back: fired or skipped once each, in order, never ahead of its time."""
    now = start = 1_767_225_600.0
    one = schedule(cron, missed, start)
    fired: list[float] = []
    count = highest = 0.0
    for step in steps:
        now += step
        highest = max(highest, now)
        due, earlier = due_between(cron, UTC, one.cursor, now, MOST_MISSED)
        firings = decide(one.terms.missed, due, earlier, now)
        for firing in firings:
            assert one.cursor < firing.at <= now
            one = Schedule(name="s", terms=one.terms, cursor=firing.at)
            count += firing.skipped + 1
            if firing.fires:
                fired.append(firing.at)
                assert missed != "skip" or now - firing.at < PUNCTUAL
        assert len(firings) <= (MOST_MISSED if missed == "run_all" else 1)
        assert missed != "run_once" or [firing.fires for firing in firings] in ([], [True])
        assert missed != "run_all" or sum(firing.fires for firing in firings) == len(due)
    named = list(takewhile(lambda at: at <= highest, times_after(cron, UTC, start)))
    assert count == len(named)
    assert fired == sorted(set(fired))
    assert set(fired) <= set(named)


def test_other_terms_keep_what_is_settled_and_another_calendar_begins_now() -> None:
    """So that a change fires nothing of the past."""
    before = schedule(cursor=100.0)
    assert redefined(before, "s", schedule(missed="skip").terms, 500.0).cursor == 100.0
    assert redefined(before, "s", schedule("0 0 * * *").terms, 500.0).cursor == 500.0
    assert redefined(None, "s", before.terms, 500.0).cursor == 500.0


def test_what_was_due_while_it_was_paused_is_not_made_up_for() -> None:
    """And to pause twice is to pause, by whoever was first."""
    first = obey(schedule(cursor=100.0), "pause", Deed(ME, 200.0, "why"))
    assert obey(first, "pause", Deed(ME, 300.0)) is first
    resumed = obey(first, "resume", Deed(ME, 500.0))
    assert (resumed.paused, resumed.cursor) == (None, 500.0)
    assert obey(resumed, "resume", Deed(ME, 600.0)) is resumed
