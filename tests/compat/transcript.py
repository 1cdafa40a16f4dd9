"""Transcripts of a wire: recorded with names for what differs each time, and compared with what is said today.

In a recorded text @HOME@ is the folder of the test, @PYTHON@ the interpreter, @TIME@ a point in time, @JOB1@ the id of
the first job, @SEAT1@ the first seat, @BOOT1@ the host's boot, @DRAWN1@ the first random word: request ids, cookies.
"""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

NUL = b"\0"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
KINDS = {
    "JOB": r"[0-9a-z]{12}",
    "BOOT": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "SEAT": r"s[0-9a-f]{8}",
    "DRAWN": r"(?<![.0-9a-f])(?=[0-9]*[a-f])[0-9a-f]{16,64}",
}
# Sentences for people may be worded anew, versions differ anyway.
WORDED = frozenset({"message", "reason", "text", "description", "version", "traceback", "sqlite_version"})
# Numbers differ each time; these are not even worth a change in a file that is recorded again.
VOLATILE = frozenset({
    "pid", "uptime_s", "rss_bytes", "elapsed_s", "since_s", "heartbeat_age_s", "stuck_for_s", "uid", "epoch",
    "ino", "inode", "ended_at", "usage",
})  # fmt: skip


class Names:
    """What the names in a recorded text stand for this time."""

    def __init__(self, home: Path, python: str) -> None:
        self.known = {"@HOME@": str(home), "@PYTHON@": python}

    def fill_in(self, recorded: Any) -> Any:
        """The recorded value with the names replaced that are known."""
        text = json.dumps(recorded)
        for name, value in self.known.items():
            text = text.replace(name, json.dumps(value)[1:-1])
        return json.loads(text)

    def match(self, recorded: str, actual: str) -> bool:
        """Whether they are the same. What a name stands for is known from when it is met first."""
        pattern = ""
        fresh: list[str] = []
        for part in re.split(r"(@[A-Z]+\d*@)", recorded):
            kind = part.strip("@0123456789")
            if part in self.known:
                pattern += re.escape(self.known[part])
            elif part == "@TIME@":
                pattern += TIME
            elif part.startswith("@") and kind in KINDS:
                pattern += f"({KINDS[kind]})"
                fresh.append(part)
            else:
                pattern += re.escape(part)
        found = re.fullmatch(pattern, actual)
        if found is not None:
            self.known.update(zip(fresh, found.groups(), strict=True))
        return found is not None


def covers(actual: Any, recorded: Any, names: Names, place: str = "") -> str | None:
    """Where what is said today lacks something that was said then; None: it has all of it, and maybe more."""
    if isinstance(recorded, Mapping):
        if not isinstance(actual, Mapping):
            return f"{place} is no object"
        missing = [key for key in recorded if names.fill_in(key) not in actual]
        if missing:
            return f"{place} has no {', '.join(missing)}"
        found = (
            covers(actual[names.fill_in(key)], value, names, f"{place}.{key}")
            for key, value in recorded.items()
            if not (key in WORDED and isinstance(value, str) and isinstance(actual[key], str))
        )
        return next((problem for problem in found if problem), None)
    if isinstance(recorded, list):
        return _covers_list(actual, recorded, names, place)
    if recorded is None:
        return None
    if isinstance(recorded, str):
        same = isinstance(actual, str) and names.match(recorded, actual)
        return None if same else f"{place} is {actual!r}, not {recorded!r}"
    if isinstance(recorded, bool):
        return None if actual is recorded else f"{place} is {actual!r}, not {recorded!r}"
    is_number = isinstance(actual, int | float) and not isinstance(actual, bool)
    return None if is_number else f"{place} is {actual!r}, no number"


def _covers_list(actual: Any, recorded: list[Any], names: Names, place: str) -> str | None:
    """In the same order; there may be more in between."""
    if not isinstance(actual, list):
        return f"{place} is no array"
    rest = iter(actual)
    for index, value in enumerate(recorded):
        problem: str | None = "nothing is left"
        for candidate in rest:
            before = dict(names.known)
            problem = covers(candidate, value, names, f"{place}[{index}]")
            if problem is None:
                break
            names.known = before
        if problem is not None:
            return f"{place}[{index}] is not there: {problem}"
    return None


class Writer:
    """Turns messages into recorded ones."""

    def __init__(self, home: Path, python: str, jobs: Iterable[str]) -> None:
        self._names = {str(home): "@HOME@", python: "@PYTHON@"}
        self._names |= {id: f"@JOB{number}@" for number, id in enumerate(jobs, 1)}
        self._counts: Counter[str] = Counter()

    def line(self, entry: Any) -> str:
        if "replies" in entry:
            entry = {**entry, "replies": _steady(entry["replies"])}
        text = json.dumps(entry, ensure_ascii=False)
        for kind in ("BOOT", "SEAT", "DRAWN"):
            for word in re.findall(rf"\b{KINDS[kind]}\b", text):
                if word not in self._names:
                    self._counts[kind] += 1
                    self._names[word] = f"@{kind}{self._counts[kind]}@"
        for word, name in self._names.items():
            text = text.replace(word, name)
        return re.sub(TIME, "@TIME@", text)


def _steady(value: Any) -> Any:
    """With numbers that differ each time set to naught."""
    if isinstance(value, dict):
        return {key: _naught(part) if key in VOLATILE else _steady(part) for key, part in value.items()}
    return [_steady(part) for part in value] if isinstance(value, list) else value


def _naught(value: Any) -> Any:
    if isinstance(value, list):
        return [_naught(part) for part in value]
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value


def exchange(path: Path, call: dict[str, Any]) -> list[dict[str, Any]]:
    """The replies to one call, on a connection of its own."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(json.dumps(call).encode() + NUL)
        replies: list[dict[str, Any]] = []
        data = b""
        while not replies or replies[-1].get("continues"):
            while NUL not in data:
                more = connection.recv(65536)
                if not more:
                    raise ConnectionError(f"no reply to {call}")
                data += more
            message, _, data = data.partition(NUL)
            replies.append(json.loads(message))
        return replies
