"""Parameters of a call as typed Structs, and what is wrong with those that are not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, inspect

from jobkeep.protocol.mistakes import in_words
from jobkeep.protocol.service import InvalidParameter

# msgspec's errors: what, then " - at `$.path`" unless it is the whole.
_PLACE: Final = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?", re.DOTALL)
_NAMED: Final = re.compile(r"(?:unknown|required) field `(?P<name>[^`]*)`")

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)


class Unacceptable(Exception):
    """The parameters are not those of the method."""

    def __init__(self, why: InvalidParameter) -> None:
        super().__init__(why.message)
        self.why = why


def decoder(struct: type[Struct]) -> Callable[[Raw], Any]:
    """Decodes parameters into `struct`. Raises Unacceptable."""
    decode = msgspec.json.Decoder(struct).decode

    def parameters(raw: Raw) -> Any:
        try:
            return decode(raw)
        except UNREADABLE as error:
            if b"null" not in bytes(raw):
                raise Unacceptable(located(error)) from None
        # Varlink lets an optional field be null as well as absent; only here does that cost anything.
        try:
            given = msgspec.json.decode(raw)
            return msgspec.convert({} if given is None else _without_nulls(given, struct), struct)
        except UNREADABLE as error:
            raise Unacceptable(located(error)) from None

    return parameters


def _without_nulls(value: Any, struct: type[Struct]) -> Any:
    """`value` without the fields of `struct` that are null, also inside of fields that are Structs themselves."""
    if not isinstance(value, dict):
        return value
    nested = _nested(struct)
    return {
        name: _without_nulls(part, nested[name]) if name in nested else part
        for name, part in value.items()
        if part is not None
    }


def _nested(struct: type[Struct]) -> dict[str, type[Struct]]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    found: dict[str, type[Struct]] = {}
    for field in info.fields:
        options = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        found.update((field.encode_name, one.cls) for one in options if isinstance(one, inspect.StructType))
    return found


def located(error: Exception) -> InvalidParameter:
    """Where and what, from the decoder's message."""
    match = _PLACE.fullmatch(in_words(str(error)))
    assert match is not None  # the pattern takes anything
    path = (match["path"] or "").removeprefix("$").removeprefix(".")
    named = _NAMED.search(match["what"])
    if named is not None:
        path = f"{path}.{named['name']}" if path else named["name"]
    sentence = match["what"]
    return InvalidParameter(path or "parameters", f"{path or 'parameters'}: {sentence[:1].lower()}{sentence[1:]}")
