"""Families: processes that belong together by what they are called. A name is weak evidence, and never kills alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Final

ARGUMENTS: Final = "args:"
COMM_MAX: Final = 15  # bytes that the kernel keeps of a name
# Nothing that deserves its name matches all of these.
_PROBES: Final = ("init", "sh", "python3", "sshd", "x7q-unheard-of")


class Pattern:
    """The name of an executable, as a shell would match it; `args:REGEX` searches in the whole command line."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for one that is no pattern, or matches everything."""
        self.text = text
        self.by_arguments = text.startswith(ARGUMENTS)
        source = text.removeprefix(ARGUMENTS)
        try:
            self._regex = re.compile(source if self.by_arguments else translate(source))
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{text!r} is no regular expression: {error}") from None
        if not source or self._matches_everything():
            raise ValueError(f"{text!r} matches everything: a family must be told from other processes")

    def _matches_everything(self) -> bool:
        return all(self.matches((probe,), probe) for probe in _PROBES)

    def matches(self, names: Sequence[str], command: str) -> bool:
        if self.by_arguments:
            return self._regex.search(command) is not None
        return any(self._regex.match(name) for name in names)


class Family:
    """`[families.NAME]`. `child_of` is the family of those that start its members."""

    def __init__(
        self, name: str, match: Sequence[str], child_of: str | None = None, max_processes: int | None = None
    ) -> None:
        """Raises ValueError."""
        if not match:
            raise ValueError("match: at least one pattern is needed")
        self.name = name
        self.patterns = tuple(Pattern(text) for text in match)
        self.child_of = child_of
        self.max_processes = max_processes

    def matched_by(self, names: Sequence[str], command: str) -> Pattern | None:
        """The pattern that knows most: of the command line, where there is one."""
        found = [pattern for pattern in self.patterns if pattern.matches(names, command)]
        return max(found, key=lambda pattern: pattern.by_arguments, default=None)


class Families:
    """All that are configured, in the order of the file: the first that matches has the process."""

    def __init__(self, families: Sequence[Family] = ()) -> None:
        self.all = tuple(families)
        self._by_name = {family.name: family for family in families}
        self.by_arguments = any(pattern.by_arguments for family in families for pattern in family.patterns)
        self._of = lru_cache(maxsize=4096)(self._first)  # many processes are called the same

    def named(self, name: str | None) -> Family | None:
        return None if name is None else self._by_name.get(name)

    def of(self, names: Sequence[str], command: str) -> tuple[Family, Pattern] | None:
        return self._of(tuple(names), command if self.by_arguments else "")

    def _first(self, names: tuple[str, ...], command: str) -> tuple[Family, Pattern] | None:
        for family in self.all:
            pattern = family.matched_by(names, command)
            if pattern is not None:
                return family, pattern
        return None


def trouble_of(families: Mapping[str, Family], init_names: Sequence[str], init_command: str) -> list[tuple[str, str]]:
    """(family, what is wrong with it), of families that are well formed by themselves. `init` is process 1."""
    found = []
    for family in families.values():
        pattern = family.matched_by(init_names, init_command)
        if pattern is not None:
            found.append((family.name, f"match: {pattern.text!r} matches process 1 ({init_command or init_names[0]})"))
        if family.child_of is None:
            continue
        if family.child_of not in families:
            known = ", ".join(sorted(families))
            found.append((family.name, f"child_of: there is no family {family.child_of!r}; there are {known}"))
        elif _is_its_own_ancestor(family, families):
            found.append((family.name, f"child_of: {family.child_of!r} leads back to {family.name!r}"))
    return found


def _is_its_own_ancestor(family: Family, families: Mapping[str, Family]) -> bool:
    seen, above = {family.name}, family.child_of
    while above is not None and above in families:
        if above in seen:
            return above == family.name
        seen.add(above)
        above = families[above].child_of
    return False
