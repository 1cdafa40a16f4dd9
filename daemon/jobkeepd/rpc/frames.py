"""Replies as bytes that go out: encoded once, ended by NUL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from jobkeep.protocol.faults import Fault
from jobkeep.protocol.registry import FAULT_NAMES
from jobkeep.protocol.service import INTERFACE, Error

encode: Final = msgspec.json.Encoder().encode
EMPTY: Final = b'{"parameters":{}}\0'


def reply(parameters: bytes) -> bytes:
    return b'{"parameters":' + parameters + b"}\0"


def joined(parts: Iterable[bytes]) -> bytes:
    """As `reply`, of parameters in parts: what is large is copied once."""
    return b"".join((b'{"parameters":', *parts, b"}\0"))


def listed(items: Iterable[bytes]) -> list[bytes]:
    """Parts of a list."""
    return [part for item in items for part in (b",", item)][1:]


def continued(parameters: Struct) -> bytes:
    return b'{"parameters":' + encode(parameters) + b',"continues":true}\0'


def fault(error: Fault) -> bytes:
    return _error(FAULT_NAMES[type(error)], error)


def standard_error(error: Error) -> bytes:
    return _error(f"{INTERFACE.name}.{type(error).__name__}", error)


def _error(name: str, parameters: Struct) -> bytes:
    return b'{"error":"' + name.encode() + b'","parameters":' + encode(parameters) + b"}\0"
