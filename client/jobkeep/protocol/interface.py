"""How an interface of the wire is declared: its methods, as pairs of Structs."""

from __future__ import annotations

from msgspec import Struct


class Nothing(Struct, forbid_unknown_fields=True):
    """No parameters."""


class Done(Struct):
    """An empty reply."""


class Method(Struct, frozen=True):
    """One call. `more` marks those that may answer with a stream of replies."""

    name: str
    parameters: type[Struct]
    reply: type[Struct]
    doc: str
    more: bool = False


class Interface(Struct, frozen=True):
    name: str
    doc: str
    methods: tuple[Method, ...]
