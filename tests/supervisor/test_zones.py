"""The host's own time zone counts as any other does, also where its clocks are set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

import pytest

from jobkeepd.core.schedule import times_after
from jobkeepd.supervisor.zones import HOST, zone

BERLIN = 1774652400.0  # 2026-03-28 00:00, a day before clocks go forward
AUTUMN = 1792792800.0  # 2026-10-24 00:00, a day before they go back


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize("after", [BERLIN, AUTUMN])
@pytest.mark.parametrize("expression", ["30 2 * * *", "0 3 * * *", "*/30 * * * *", "15 1-4 * * *", "0 0 * * 0"])
def test_the_hosts_zone_names_the_same_times_as_its_namesake(after: float, expression: str) -> None:
    """An hour that is left out, and one that comes twice, included."""
    named = list(islice(times_after(expression, zone("Europe/Berlin"), after), 60))
    assert list(islice(times_after(expression, HOST, after), 60)) == named
    assert named == sorted(set(named))
