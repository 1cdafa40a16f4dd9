"""Whose a seat's output files are, across daemons and crashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobkeepd.core.model import RunRef
from jobkeepd.errors import StartFailed
from jobkeepd.runner.output import Outputs

FIRST, SECOND = RunRef("a", 1, 1), RunRef("job-of-a-longer-name", 12, 7)


def outputs(logs: Path) -> Outputs:
    made = Outputs(str(logs))
    made.prepare()
    return made


def test_the_next_daemon_knows_whose_the_files_of_a_seat_are(tmp_path: Path) -> None:
    """The last run that was about to be sent there; nobody's where nothing ever was."""
    before = outputs(tmp_path)
    before.begin("s1", SECOND)
    before.keep(SECOND)
    before.begin("s1", FIRST)
    after = outputs(tmp_path)
    assert (after.owner("s1"), after.owner("s2")) == ("a.1", None)


def test_output_of_an_earlier_daemons_run_gets_its_name(tmp_path: Path) -> None:
    """It goes on writing to the files of its seat."""
    path, _ = outputs(tmp_path).begin("s1", FIRST)
    Path(path).write_text("hello")
    after = outputs(tmp_path)
    after.rejoin("s1", FIRST)
    assert after.keep(FIRST)
    assert Path(after.path("a", 1, "stdout")).read_text() == "hello"


def test_a_run_is_not_sent_where_its_output_could_not_be_told_apart(tmp_path: Path) -> None:
    """Somebody has removed the folder, or the disk is full."""
    made = outputs(tmp_path)
    (tmp_path / "seats").rmdir()
    with pytest.raises(StartFailed, match="cannot be kept apart"):
        made.begin("s1", FIRST)


@pytest.mark.parametrize("torn", ["", "a.1", "a.1 ", "a.1 x", "a.1 . ."])
def test_a_torn_record_is_none(tmp_path: Path, torn: str) -> None:
    """After a power cut it may be anything."""
    made = outputs(tmp_path)
    (tmp_path / "seats" / "s1.owner").write_text(torn)
    assert made.owner("s1") is None


def test_a_seat_that_is_dropped_leaves_nothing_but_output(tmp_path: Path) -> None:
    """What was written and not kept stays, and whose it was."""
    made = outputs(tmp_path)
    for seat, text in (("s1", ""), ("s2", "hello")):
        path, _ = made.begin(seat, FIRST)
        Path(path).write_text(text)
        made.drop_seat(seat)
    assert {path.name for path in (tmp_path / "seats").iterdir()} == {"s2.stdout", "s2.owner"}
