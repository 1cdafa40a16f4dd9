"""The start log tells how much a kill cost."""

from __future__ import annotations

from pathlib import Path

from jobkeep.demo.witness import Start, finished_twice, read_starts, repeated


def starts(pid: int, items: str) -> list[Start]:
    return [Start(pid, item) for item in items]


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    """Only whole lines are starts."""
    log = tmp_path / "starts.log"
    log.write_text("7 /lib/a b.py\n7 /lib/c", encoding="utf-8")

    assert read_starts(log) == [Start(7, "/lib/a b.py")]


def test_a_log_that_is_not_there_yet_has_no_starts(tmp_path: Path) -> None:
    """The worker makes the log with its first item."""
    assert read_starts(tmp_path / "starts.log") == []


def test_items_after_the_checkpoint_are_repeated() -> None:
    """What was started before a kill and again after it, in the first order."""
    assert repeated(starts(1, "abcde"), starts(2, "defg")) == ["d", "e"]


def test_the_item_in_work_at_the_kill_was_not_finished() -> None:
    """Starting it again costs nothing that had been done."""
    assert finished_twice(starts(1, "abcde"), starts(2, "defg")) == 1


def test_a_kill_that_cost_nothing_is_seen_as_such() -> None:
    """A worker that goes on after the daemon's death repeats nothing."""
    assert finished_twice(starts(1, "abc"), starts(1, "def")) == 0
