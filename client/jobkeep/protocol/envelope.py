"""The outer layer of every Varlink message; parameters stay raw until their method is known."""

from __future__ import annotations

from msgspec import Raw, Struct

EMPTY = Raw(b"{}")


class Call(Struct, omit_defaults=True):
    method: str
    parameters: Raw = EMPTY
    more: bool = False
    oneway: bool = False
    upgrade: bool = False


class Reply(Struct, omit_defaults=True):
    parameters: Raw = EMPTY
    continues: bool = False
    error: str | None = None
