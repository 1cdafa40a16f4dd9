"""One run: what the daemon has on record of it against the marks that the run itself has left. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from crash.torture.evidence import RunSeen, Started
from crash.torture.recipes import Recipe

_SLACK = 2.0  # seconds between a kill and the record of what it did
_KILLED = 9


class Marks(NamedTuple):
    """From outside: its start, its last words, the verb that was to end it, the slot it started in."""

    start: Started | None = None
    end: str | None = None
    stop: str | None = None
    seat: str | None = None


class Kills:
    """Who was killed, to be asked whether that explains the end of a run."""

    def __init__(self, notes: Sequence[dict[str, Any]]) -> None:
        self._by_target: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for note in notes:
            self._by_target[note["target"]].append(note)
        self._slots = self._by_target["shim"] + self._by_target["warden"]

    def took_command(self, marks: Marks, ended_at: float) -> bool:
        """Whether the run's own process was killed; it may not have come to leave a mark, or to write its pid there."""
        pid = None if marks.start is None else marks.start.pid
        return any(
            abs(note["struck_at"] - ended_at) <= _SLACK
            and (note["pid"] == pid if pid else note["slot"] == marks.seat)
            for note in self._by_target["command"]
        )

    def took_worker(self, seat: str | None, until: float) -> bool:
        return any(note["slot"] == seat and note["struck_at"] <= until + _SLACK for note in self._by_target["worker"])

    def took_slot(self, seat: str | None, until: float) -> bool:
        return any(note["slot"] == seat and note["struck_at"] <= until + _SLACK for note in self._slots)

    def took_both_rings(self, seat: str | None, until: float) -> bool:
        """Whether the shim was killed, and the spawner that would have inherited from it was, before or after."""
        spawners = {note["pid"] for note in self._by_target["spawner"] if note["struck_at"] <= until + _SLACK}
        return any(
            note["slot"] == seat
            and note["struck_at"] <= until + _SLACK
            and (note["spawner"] is None or note["spawner"] in spawners)
            for note in self._slots
        )


    def took_heirs(self, seat: str | None, until: float) -> bool:
        """Whether the slot was killed, and the spawner before it could end what it inherited: at any time, if it had
        inherited from several slots, and could not tell whose an orphan was until all their leaders had ended."""
        by_then = [note for note in self._slots if note["struck_at"] <= until + _SLACK]
        for spawner in (note["spawner"] for note in by_then if note["slot"] == seat):
            several = len({note["slot"] for note in by_then if note["spawner"] == spawner}) > 1
            for note in self._by_target["spawner"]:
                if note["pid"] == spawner and (several or note["struck_at"] <= until + _SLACK):
                    return True
        return self.took_both_rings(seat, until)


def judge(recipe: Recipe, record: RunSeen, marks: Marks, kills: Kills) -> Iterator[str]:
    """What cannot be true of the record."""
    if record.outcome is None or record.ended_at is None:
        return  # it is open, of which others complain
    words = f"on record as {_described(record)}, its last words were {marks.end!r}"
    if record.exit_code is not None and (recipe.is_function or marks.end != f"exit {record.exit_code}"):
        yield f"an exit code that it has not ended with; {words}"
    elif record.outcome == "succeeded":
        if marks.start is None or (recipe.is_function and marks.end != "returned") or recipe.kind == "raises":
            yield f"it has not succeeded; {words}"
    elif record.outcome == "failed":
        yield from _failed(recipe, record, marks, kills)
    elif record.outcome == "cancelled":
        if marks.stop is None:
            yield f"nobody wanted it to stop; {words}"
    elif record.outcome == "interrupted":
        yield from _interrupted(record, marks)
    elif record.outcome == "lost":
        yield from _lost(recipe, record, marks, kills)


def _failed(recipe: Recipe, record: RunSeen, marks: Marks, kills: Kills) -> Iterator[str]:
    ended_at = record.ended_at or 0.0
    words = f"on record as {_described(record)}, its last words were {marks.end!r}"
    if recipe.is_function and record.signal is None:
        if not (recipe.kind == "raises" and marks.end == "raised" and (record.reason or "").startswith("LookupError")):
            yield f"it has not failed in this way; {words}"
    elif recipe.is_function:
        if not (record.signal == _KILLED and kills.took_worker(marks.seat, ended_at)):
            yield f"nobody has killed its worker; {words}"
    elif recipe.kind == "missing":
        if marks.start is not None or record.signal is not None:
            yield f"there is no such command; {words}"
    elif record.signal is not None:
        by_itself = marks.end == f"signal {record.signal}"
        timed_out = recipe.kind == "times_out" and (record.reason or "").startswith("timed out")
        if not (by_itself or timed_out or (record.signal == _KILLED and kills.took_command(marks, ended_at))):
            yield f"nobody has sent it that signal; {words}"
    elif record.exit_code is None:
        yield f"it could be started; {words}"


def _interrupted(record: RunSeen, marks: Marks) -> Iterator[str]:
    if (record.reason or "").startswith("never started"):
        if marks.start is not None:
            yield f"it has started, whatever is on record: {_described(record)}"
    elif marks.stop != "restart":
        yield f"nobody wanted it to start again; on record as {_described(record)}"


def _lost(recipe: Recipe, record: RunSeen, marks: Marks, kills: Kills) -> Iterator[str]:
    ended_at = record.ended_at or 0.0
    if record.signal is not None:
        yield f"lost, and with a signal that nobody saw: {_described(record)}"
    if kills.took_both_rings(marks.seat, ended_at):
        return
    if recipe.is_function and kills.took_worker(marks.seat, ended_at):
        return
    if recipe.kind == "missing" and kills.took_slot(marks.seat, ended_at):
        return  # the child that exec refused was collected, and why is not on record yet
    yield f"its shim or the spawner lived and saw its end, and it is on record as {_described(record)}"


def _described(record: RunSeen) -> str:
    status = f" exit {record.exit_code}" if record.exit_code is not None else ""
    status += f" signal {record.signal}" if record.signal is not None else ""
    return f"{record.outcome}{status} ({record.reason})"
