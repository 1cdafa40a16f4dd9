"""Secrets are not shown: values whose names say what they are, also within arguments and command lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

MASK: Final = "••••••"
_TELLING = re.compile(
    r"pass(word|wd|phrase)?$|^pass|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key|auth(orization)?$|"
    r"cookie|bearer|signature|^pwd$|_pwd$|dsn$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)(?=@)")
_OPTION = re.compile(r"(--?[A-Za-z][\w-]*)(=)(.*)", re.DOTALL)
_VARIABLE = re.compile(r"([A-Za-z_]\w*)(=)(.*)", re.DOTALL)


def masked(value: Any, name: str = "") -> Any:
    """The same JSON value with secrets replaced."""
    if name and value not in (None, "", True, False) and _TELLING.search(name):
        return MASK
    if isinstance(value, dict):
        return {key: masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return in_text(value) if isinstance(value, str) else value


def in_text(text: str) -> str:
    """Passwords of addresses, as in `postgres://user:…@host`."""
    return _URL_PASSWORD.sub(rf"\1:{MASK}", text) if "://" in text else text


def command(argv: Sequence[str]) -> list[str]:
    """A command line: `--password=…`, `--token …`, `API_KEY=…` and addresses with passwords."""
    shown: list[str] = []
    hide = False
    for word in argv:
        if hide and not word.startswith("-"):
            shown.append(MASK)
            hide = False
            continue
        hide = False
        named = _OPTION.fullmatch(word) or _VARIABLE.fullmatch(word)
        if named and _TELLING.search(named[1].lstrip("-")):
            shown.append(f"{named[1]}={MASK}")
        else:
            hide = word.startswith("-") and _TELLING.search(word.lstrip("-")) is not None
            shown.append(in_text(word))
    return shown
