"""The short form of `make torture`: kills at random under load, and the verdict from outside."""

from __future__ import annotations

import tempfile
from pathlib import Path

from crash.torture import campaign

SEED = 3


def test_thirty_kills_under_load_break_no_promise() -> None:
    """Nothing acknowledged is lost, nothing is started twice, no end is invented, nothing is left over."""
    said: list[str] = []
    home = Path(tempfile.mkdtemp(prefix="jkt-"))
    report = campaign.run(home, SEED, campaign.Size(kills=30, seconds=300.0, tidy=False), said.append)
    assert report.violations == [], f"the home is kept: {home}; {report.figures}"
    assert report.kills >= 10, report.figures
