"""Writes an interface as Varlink text, from the very Structs that decode and encode its messages."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from inspect import cleandoc
from typing import Final, Literal, get_args, get_origin

from msgspec import Struct, UnsetType, inspect

from jobkeep.protocol import vocabulary
from jobkeep.protocol.interface import Interface, Method

# Literals that have a name in the vocabulary keep it, and their order, which inspection loses; the others are
# named after the field that has them.
_VOCABULARY: Final[Mapping[frozenset[str], tuple[str, tuple[str, ...]]]] = {
    frozenset(get_args(alias)): (name, get_args(alias))
    for name, alias in vars(vocabulary).items()
    if get_origin(alias) is Literal
}
_PLAIN: Final[Mapping[type[inspect.Type], str]] = {
    inspect.BoolType: "bool",
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.StrType: "string",
    inspect.DateTimeType: "string",  # RFC 3339, UTC
    inspect.BytesType: "string",  # base64
    inspect.RawType: "object",
    inspect.AnyType: "object",
}
_WIDTH: Final = 100


def describe(interface: Interface, faults: Iterable[type[Struct]]) -> str:
    """The `.varlink` text: types in the order in which methods need them, then methods, then errors."""
    return _Writer().interface(interface, faults)


class _Writer:
    """Collects named types while methods and errors are written."""

    def __init__(self) -> None:
        self._types: dict[str, str] = {}

    def interface(self, interface: Interface, faults: Iterable[type[Struct]]) -> str:
        methods = [self._method(method) for method in interface.methods]
        errors = [self._error(fault) for fault in faults]
        head = f"{_comment(interface.doc)}interface {interface.name}\n"
        return "\n".join([head, *self._types.values(), *methods, *errors])

    def _method(self, method: Method) -> str:
        doc = method.doc
        if method.more:
            doc += "\nCall it with more. A reply without parameters ends the stream."
        parameters = self._fields(method.parameters, method.name)
        reply = self._fields(method.reply, method.name, nullable=method.more)
        return f"{_comment(doc)}method {method.name}{_tuple(parameters)} -> {_tuple(reply)}\n"

    def _error(self, fault: type[Struct]) -> str:
        return f"{_doc(fault)}error {fault.__name__} {_tuple(self._fields(fault, fault.__name__))}\n"

    def _fields(self, struct: type[Struct], owner: str, nullable: bool = False) -> list[str]:
        info = inspect.type_info(struct)
        assert isinstance(info, inspect.StructType)
        return [self._field(field, owner, nullable) for field in info.fields]

    def _field(self, field: inspect.Field, owner: str, nullable: bool) -> str:
        written = self._type(field.type, owner + _capitalised(field.encode_name))
        if (nullable or not field.required) and not written.startswith("?"):
            written = f"?{written}"
        return f"{field.encode_name}: {written}"

    def _type(self, type_: inspect.Type, name: str) -> str:
        if isinstance(type_, inspect.Metadata):
            return self._type(type_.type, name)
        if isinstance(type_, inspect.UnionType):
            return self._union(type_, name)
        if isinstance(type_, inspect.LiteralType):
            return self._enum([str(value) for value in type_.values], name)
        if isinstance(type_, inspect.ListType):
            return f"[]{self._type(type_.item_type, name)}"
        if isinstance(type_, inspect.DictType):
            return f"[string]{self._type(type_.value_type, name)}"
        if isinstance(type_, inspect.StructType):
            return self._struct(type_.cls)
        return _PLAIN[type(type_)]

    def _union(self, union: inspect.UnionType, name: str) -> str:
        present = [one for one in union.types if not _is_absent(one)]
        if len(present) != 1:
            raise TypeError(f"Varlink has no unions: {name}")
        written = self._type(present[0], name)
        return written if written.startswith("?") else f"?{written}"

    def _enum(self, values: Iterable[str], name: str) -> str:
        name, ordered = _VOCABULARY.get(frozenset(values), (name, tuple(values)))
        self._types.setdefault(name, f"type {name} {_tuple(ordered)}\n")
        return name

    def _struct(self, struct: type[Struct]) -> str:
        name = struct.__name__
        if name not in self._types:
            self._types[name] = ""  # a type may name itself
            fields = self._fields(struct, name)
            del self._types[name]  # what it needs comes first
            self._types[name] = f"{_doc(struct)}type {name} {_tuple(fields)}\n"
        return name


def _is_absent(type_: inspect.Type) -> bool:
    return isinstance(type_, inspect.NoneType) or (isinstance(type_, inspect.CustomType) and type_.cls is UnsetType)


def _capitalised(field: str) -> str:
    return "".join(word.capitalize() for word in field.split("_"))


def _tuple(fields: Iterable[str]) -> str:
    fields = list(fields)
    line = f"({', '.join(fields)})"
    if len(line) <= _WIDTH:
        return line
    return "(\n  " + ",\n  ".join(fields) + "\n)"


def _doc(struct: type[Struct]) -> str:
    return _comment(vars(struct).get("__doc__"))  # its own, not an inherited one


def _comment(text: str | None) -> str:
    if not text:
        return ""
    lines = [line for part in cleandoc(text).splitlines() for line in textwrap.wrap(part, _WIDTH) or [""]]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)
