"""A configuration as keys and values, as it may be shown to whoever asks: without what may be a secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from jobkeepd.config import NAMED, SECRET, Config

HIDDEN: Final = "(hidden)"


def flat(config: Config, *, hide: bool = True) -> Iterator[tuple[tuple[str, ...], Any]]:
    """((section, key) or (section, name, key), value). Variables may be secrets: they are hidden, as arguments that
    are said to be."""
    for section, values in msgspec.to_builtins(config).items():
        tables = {(section, name): table for name, table in values.items() if section in NAMED}
        for where, table in tables.items() if section in NAMED else [((section,), values)]:
            for key, value in table.items():
                yield (*where, key), _hidden(key, value, table.get("secrets", ())) if hide else value


def _hidden(key: str, value: Any, secrets: Sequence[str]) -> Any:
    if key not in SECRET or not isinstance(value, dict):
        return value
    return {name: HIDDEN if key == "env" or name in secrets else each for name, each in value.items()}
