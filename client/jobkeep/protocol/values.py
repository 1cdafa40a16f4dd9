"""Python values as JSON texts that mean the same: what JSON has no word for is refused, never replaced."""

from __future__ import annotations

import math
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def encode_value(value: Any, what: str) -> bytes:
    """`value` as JSON. Raises TypeError that says what in it is none, and where: `what` is its name.

    Besides the types of JSON: tuples and sets (as arrays), dataclasses, msgspec Structs, dates, bytes (as base64)
    and what else msgspec knows.
    """
    try:
        encoded = _encode(value)
        # NaN and infinities would become null: a text without one has none of them.
        where = _non_finite(msgspec.to_builtins(value), what) if b"null" in encoded else None
    except (TypeError, ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError) as error:
        raise TypeError(f"{what} cannot be JSON: {error}") from None
    if where is not None:
        raise TypeError(f"{what} cannot be JSON: {where}, and JSON has only finite numbers")
    return encoded


def _non_finite(value: Any, path: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{path} is {value}"
    if isinstance(value, dict):
        parts = ((f"{path}[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        parts = ((f"{path}[{index}]", part) for index, part in enumerate(value))
    else:
        return None
    return next((found for name, part in parts if (found := _non_finite(part, name)) is not None), None)
