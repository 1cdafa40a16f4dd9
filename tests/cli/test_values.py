"""Values of options."""

from __future__ import annotations

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
