"""The comparison with what was recorded finds what is lost, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .transcript import Names, Writer, covers

HOME = Path("/home/somebody")
RECORDED = {
    "id": "@JOB1@",
    "at": "@TIME@",
    "state": "failed",
    "created": True,
    "seq": 3,
    "key": None,
    "message": "it has failed",
    "tallies": {"odd": 1},
    "runs": [{"number": 1}, {"number": 2, "path": "@HOME@/@JOB1@.2"}],
}
SAID = {
    "id": "abcdefghijkl",
    "at": "2026-11-25T15:12:54.123Z",
    "state": "failed",
    "created": True,
    "seq": 4,
    "key": "nightly",
    "message": "what a pity",
    "tallies": {"odd": 7},
    "runs": [{"number": 1}, {"number": 2, "path": "/home/somebody/abcdefghijkl.2"}],
}


def problem(changes: dict[str, Any]) -> str | None:
    said = {key: value for key, value in {**SAID, **changes}.items() if value is not ...}
    return covers(said, RECORDED, Names(HOME, "/usr/bin/python3"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"more": 1},
        {"seq": 4.5},
        {"runs": [{"number": 1, "more": []}, {}, {"number": 2, "path": "/home/somebody/abcdefghijkl.2"}]},
    ],
)
def test_more_is_no_problem(changes: dict[str, Any]) -> None:
    """Further fields and elements, other numbers, sentences and moments."""
    assert problem(changes) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seq": ...}, " has no seq"),
        ({"message": ...}, " has no message"),
        ({"message": None}, ".message is None"),
        ({"state": "lost"}, ".state is 'lost', not 'failed'"),
        ({"created": False}, ".created is False, not True"),
        ({"seq": "4"}, ".seq is '4', no number"),
        ({"seq": True}, ".seq is True, no number"),
        ({"at": "yesterday"}, ".at is 'yesterday'"),
        ({"tallies": {}}, ".tallies has no odd"),
        ({"tallies": []}, ".tallies is no object"),
        ({"runs": {}}, ".runs is no array"),
        ({"runs": [{"number": 1}]}, ".runs[1] is not there"),
        ({"runs": [{"number": 1}, {"number": 2, "path": "/home/somebody/zzzzzzzzzzzz.2"}]}, ".runs[1] is not there"),
    ],
)
def test_what_is_lost_or_changed_is_told(changes: dict[str, Any], told: str) -> None:
    """A field, a word, a type, an element, a job that is another one."""
    found = problem(changes)
    assert found is not None
    assert found.startswith(told)


def test_what_is_recorded_holds_nothing_of_its_place_and_hour() -> None:
    """Names stand for them, the same name for the same thing; numbers that differ each time are naught."""
    writer = Writer(HOME, "/usr/bin/python3", ["abcdefghijkl"])
    call = {"id": "abcdefghijkl", "request_id": "0123456789abcdef", "cwd": "/home/somebody/x", "since_s": 5}
    reply = {"at": "2026-11-25T15:12:54Z", "again": "0123456789abcdef", "seat": "s0123abcd", "pid": 77, "seq": 3}
    assert writer.line({"call": call, "replies": [reply]}) == (
        '{"call": {"id": "@JOB1@", "request_id": "@DRAWN1@", "cwd": "@HOME@/x", "since_s": 5},'
        ' "replies": [{"at": "@TIME@", "again": "@DRAWN1@", "seat": "@SEAT1@", "pid": 0, "seq": 3}]}'
    )


def test_a_request_is_filled_in_with_what_the_names_stand_for_now() -> None:
    """The jobs are those that the replies have told so far."""
    names = Names(HOME, "/usr/bin/python3")
    assert covers({"id": "abcdefghijkl"}, {"id": "@JOB1@"}, names) is None
    assert names.fill_in({"id": "@JOB1@", "cwd": "@HOME@"}) == {"id": "abcdefghijkl", "cwd": "/home/somebody"}
