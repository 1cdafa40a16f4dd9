"""Whether the ends of a wire that were made from two descriptions of an interface understand each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import varlink.scanner as varlink  # type: ignore[import-untyped]


class Comparison:
    """`told` is what the sender of a value says that it is, `known` what its receiver thinks it is."""

    def __init__(self, told: str, known: str) -> None:
        self._told = varlink.Interface(told).members
        self._known = varlink.Interface(known).members
        self._seen: set[tuple[str, str]] = set()

    def problems(self, told: Any, known: Any, place: str, *, strict: bool) -> Iterator[str]:
        """Why the receiver would not understand; `strict`: it refuses what it does not know."""
        told_optional, told = _unwrapped(told)
        known_optional, known = _unwrapped(known)
        if told_optional and not known_optional:
            yield f"{place} may be absent"
        if isinstance(told, varlink._CustomType) and isinstance(known, varlink._CustomType):
            if (told.name, known.name) in self._seen:
                return
            self._seen.add((told.name, known.name))
        told, known = _resolved(told, self._told), _resolved(known, self._known)
        if type(told) is not type(known):
            yield f"{place} is another type"
        elif isinstance(told, varlink._Struct):
            yield from self._fields(told.fields, known.fields, place, strict)
        elif isinstance(told, varlink._Enum):
            yield from (f"{place} may be {value}" for value in set(told.fields) - set(known.fields))
        elif isinstance(told, varlink._Array | varlink._Dict):
            yield from self.problems(told.element_type, known.element_type, f"{place}[]", strict=strict)

    def _fields(self, told: Mapping[str, Any], known: Mapping[str, Any], place: str, strict: bool) -> Iterator[str]:
        for name, type_ in known.items():
            if name in told:
                yield from self.problems(told[name], type_, f"{place}.{name}", strict=strict)
            elif not isinstance(type_, varlink._Maybe):
                yield f"{place}.{name} is missing"
        if strict:
            yield from (f"{place}.{name} is not known" for name in told.keys() - known.keys())


def _unwrapped(type_: Any) -> tuple[bool, Any]:
    return (True, type_.element_type) if isinstance(type_, varlink._Maybe) else (False, type_)


def _resolved(type_: Any, members: Mapping[str, Any]) -> Any:
    while isinstance(type_, varlink._CustomType):
        type_ = members[type_.name].type
    return type_


def problems_between(caller: str, service: str) -> list[str]:
    """What a caller made from one description and a service made from another would not understand of each other."""
    calling, serving = varlink.Interface(caller).members, varlink.Interface(service).members
    calls, replies = Comparison(caller, service), Comparison(service, caller)
    found: list[str] = []
    for name, member in calling.items():
        if isinstance(member, varlink._Alias):
            continue
        other = serving.get(name)
        if type(other) is not type(member):
            found.append(f"there is no {name}")
        elif isinstance(member, varlink._Method):
            found += calls.problems(member.in_type, other.in_type, f"{name}()", strict=True)
            found += replies.problems(other.out_type, member.out_type, f"{name}->", strict=False)
        else:
            found += replies.problems(other.type, member.type, name, strict=False)
    return found
