"""Whether a command line that people read is one: our own parser reads it, with something for its placeholders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby

from jobkeep.cli.failures import UsageError
from jobkeep.cli.main import _module
from jobkeep.cli.options import Options, split
from jobkeep.cli.parts import part_of
from jobkeep.cli.reading import read

# What a reader puts in their place.
_MEANT = {
    "ID": "k3x9", "M:F": "m:f", "MODULE:FUNCTION": "m:f", "K=V": "k=v", "KEY=VALUE": "k=v", "CMD": "true", "FILE": "f",
    "DIR": "d", "L": "l", "Q": "q", "S": "s", "F": "f", "NAME": "name", "DUR": "90s", "TEXT": "text", "N": "3",
    "DONE": "3", "TOTAL": "10", "CRON": "* * * * *", "JSON": "{}", "QUEUE": "q", "PATH": "/p", "SHELL": "bash",
    "QUERY": "SELECT 1", "FUNCTION": "m:f", "A": "a",
}  # fmt: skip


def refusal_of(words: list[str]) -> str | None:
    """Why a line, or one of the lines that it stands for, is none; None if all are."""
    for line, shared in lines_of(words):
        why = _refusal((*line,))
        if why is not None and (not shared or _refusal((*line, *shared)) is not None):
            return f"{' '.join(line)}: {why}"
    return None


def lines_of(words: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    """`a b | c | d X` stands for a b, a c and a d X, or with the X for all of them, which comes second; so does `b|c`.
    What is in [ ] may be left out, `…` is more of the same.
    """
    tight = next((word for word in words if re.fullmatch(r"[\w-]+(\|[\w-]+)+", word)), None)
    if tight is not None:
        for one in tight.split("|"):
            yield from lines_of([one if word == tight else word for word in words])
        return
    plain = [_meant(part) for word in words if (part := word.strip("[]…"))]
    head, *others = [list(part) for bar, part in groupby(plain, lambda word: word == "|") if not bar]
    stem = head[:2] if others and len(head) > 2 else head[:1]
    shared = others[-1][1:] if others else []
    yield head, shared
    for other in others:
        yield [*stem, *other], shared


def _meant(word: str) -> str:
    return "=".join(_MEANT.get(part, part) for part in word.split("=")) if "=" not in _MEANT.get(word, "") else "k=v"


@cache
def _refusal(words: tuple[str, ...]) -> str | None:
    options = Options()
    rest: list[str] = []
    try:
        head, name, rest = split(list(words[1:]))
        if head:
            read("", None, head, options)
        name = {"--version": "version", None: "ls"}.get(name, name)
        assert name is not None
        if name == "help" or name.startswith("-"):
            return None
        module = _module(name)
        if hasattr(module, "PARTS"):
            name, module, rest = part_of(name, module, rest, options)
        read(name, module, rest, options)
    except UsageError as error:
        is_mention = all(word.startswith("-") for word in rest)  # the name of a command, as in "what `show` prints"
        return None if is_mention and "arguments are required" in str(error) else str(error)
    except SystemExit as end:
        return None if end.code in (0, None) else "it is not read"
    return None


def is_command(phrase: str) -> bool:
    return bool(re.match(r"jobkeep(?: |$)", phrase))
