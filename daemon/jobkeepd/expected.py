"""What to write in the configuration, where the library says only what it had expected: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from jobkeep.protocol.mistakes import form

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text in quotes",
    "array": "a list",
    "object": "a table",
}
_SUCH_AS = {
    "int": " such as 3",
    "float": " such as 1.5",
    "str": ', such as "word"',
    "array": ' such as ["one", "two"]',
    "object": ' such as { key = "value" }',
}
_EXPECTED = re.compile(
    r"Expected `([^`]+)`(?: (of length )?(>=?|<=?) ([\d.e+-]+)| matching regex (.+))?(?:, got `.*`)?"
)
_BOUNDS = {">=": "of {} or more", ">": "above {}", "<=": "of {} or less", "<": "below {}"}


def to_write(error: Exception, hint: Any) -> str:
    """`write a whole number of 1 or more`. What is not the library's way of saying it stays as it is."""
    text, _, place = str(error).partition(" - at ")
    there = place.strip("`").removeprefix("$").removeprefix(".")
    at = f" at {there}" if there else ""
    if text.startswith("Invalid enum value") and not there and (choices := _choices(hint)):
        return f"write one of {', '.join(map(str, choices))}"
    if text.startswith("Object contains unknown field "):
        return f"there is no key {text.split('`')[1]}{at}"
    if text.startswith("Object missing required field "):
        return f"the key {text.split('`')[1]} is missing{at}"
    found = _EXPECTED.fullmatch(text)
    if found is None:
        return str(error)
    kinds = [kind for kind in found[1].split(" | ") if kind != "null"]
    if found[5]:
        return f"write {form(found[5])}{at}"
    if found[3]:
        number = f"{float(found[4]):g}"
        length = " with a length" if found[2] else ""
        return f"write {_KINDS.get(kinds[0], kinds[0])}{length} {_BOUNDS[found[3]].format(number)}{at}"
    return "write " + " or ".join(_KINDS.get(kind, kind) + _SUCH_AS.get(kind, "") for kind in kinds) + at


def place_of(problem: str) -> str:
    """The `[section] key` that a problem begins with."""
    return re.split(": | = ", problem, maxsplit=1)[0]


def meant(word: str, known: Iterable[str]) -> str:
    """`did you mean queues? `, or nothing."""
    close = get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]}? " if close else ""


def _choices(hint: Any) -> tuple[Any, ...]:
    """Those of a Literal, also of one that may be left out."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next((found for part in get_args(hint) if (found := _choices(part))), ())
