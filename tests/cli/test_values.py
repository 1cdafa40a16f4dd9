"""Values of options."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobkeep.cli import values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("15m", 900.0), ("3.5h", 12600.0), ("2d", 172800.0), ("10", 10.0), (".5", 0.5), ("0", 0.0)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    """90s 15m 3.5h 2d and bare numbers are durations."""
    assert values.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-31T18:00Z", "2030-01-31T18:00:00Z"), ("2030-01-31T18:00:30+02:00", "2030-01-31T16:00:30Z"),
        ("2030-01-31T18:00", "2030-01-31T17:00:00Z"), ("2030-07-01", "2030-06-30T22:00:00Z"),
        ("2030-10-27T02:30", "2030-10-27T00:30:00Z"), ("2030-03-31T02:30", "2030-03-31T01:30:00Z"),
    ],
)  # fmt: skip
def test_moments_without_an_offset_are_local(text: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an hour comes twice it is the first one; where it is left out, as much later."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert values.moment(text) == moment
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("offset", ["", "+00:00", "-05:00"])
def test_a_time_of_day_is_the_next_one(offset: str) -> None:
    """Within a day from now."""
    now = datetime.now(UTC)
    for hour in range(24):
        found = datetime.fromisoformat(values.moment(f"{hour:02}:30{offset}"))
        assert timedelta(0) < found - now < timedelta(hours=26)  # a day may have 25 hours


@pytest.mark.parametrize(
    ("text", "size"),
    [("1M", 1 << 20), ("1.5G", 3 << 29), ("2MiB", 2 << 20), ("2gb", 2 << 30), ("2097152", 2 << 20), ("1t", 1 << 40)],
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    """A K is 1024 of them, however it is written."""
    assert values.memory(text) == size


@pytest.mark.parametrize(
    ("value", "text", "hint"),
    [
        (values.memory, "512", "512M or 1.5G"), (values.memory, "much", "512M or 1.5G"), (values.memory, "-1G", "512M"),
        (values.memory, "1e9", "512M"), (values.memory, "9999999T", "1 PiB"), (values.cpu, "0", "0.5 for half"),
        (values.cpu, "50%", "0.5 for half"), (values.nice, "20", "from -20 to 19"), (values.nofile, "5", "16"),
    ],
)  # fmt: skip
def test_a_limit_that_is_none_says_what_one_is(value: Callable[[str], object], text: str, hint: str) -> None:
    """The error gives an example, or the bounds."""
    with pytest.raises(values.BadValue, match=hint):
        value(text)


@pytest.mark.parametrize("text", ["", "noon", "25:00", "2030-13-01", "18:00:61", "9999-12-31T23:59-12:00"])
def test_anything_else_is_no_moment(text: str) -> None:
    """The error gives examples."""
    with pytest.raises(values.BadValue, match="such as 18:00"):
        values.moment(text)


@pytest.mark.parametrize("text", ["", "s", "1w", "-1s", "1e3", "nan", "inf", "1.", "1 h", "٣s", "367d", "1h30m"])
def test_anything_else_is_no_duration(text: str) -> None:
    """What could be read in two ways is refused, as is more than a year."""
    with pytest.raises(values.BadValue):
        values.duration(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n=1", 1), ("n=true", True), ("n=null", None), ('n="1"', "1"), ("n=[1, 2]", [1, 2]), ("n=", ""),
        ("n=leads.csv", "leads.csv"), ("n=NaN", "NaN"), ("n=a=b", "a=b"), ("n={", "{"), ("n=1_000", "1_000"),
    ],
)  # fmt: skip
def test_an_argument_is_json_or_else_a_string(text: str, value: Any) -> None:
    """KEY=VALUE takes the value as JSON if it is JSON."""
    assert values.argument(text) == ("n", value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (values.argument, "a-b=1"), (values.argument, "path"), (values.argument, "=1"), (values.arguments, "[]"),
        (values.arguments, "{"), (values.arguments, '{"a": NaN}'), (values.arguments, "[" * 100_000),
        (values.name, ""), (values.name, "-x"), (values.name, "a b"), (values.name, "a\n"), (values.name, "x" * 129),
        (values.function, "os"), (values.function, "os:"), (values.function, "o s:p"), (values.function, "é:f"),
        (values.label, "k"), (values.label, "=v"), (values.label, "k=" + "v" * 257), (values.variable, "=v"),
        (values.reason, "a\x1b[0m"), (values.reason, "a\u202eb"), (values.reason, "x" * 1025),
        (values.priority, "1001"), (values.retries, "-1"), (values.positive, "0"), (values.count, "1.5"),
        (values.request_id, "a b"), (values.request_id, ""),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_words(kind: Any, text: str) -> None:
    """The message says what is expected, and holds no control character."""
    with pytest.raises(values.BadValue) as caught:
        kind(text)

    assert str(caught.value).isprintable()
