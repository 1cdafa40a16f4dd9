"""A reply of each kind, made up from its declaration: for scripted daemons where a test has nothing to say."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, inspect

_TEXTS = ("sample-text", "k3x9a0b1c2d3", "/tmp/file", "module:function", "NAME", "dask:lab")
_TIME = "2026-03-01T11:40:00Z"


def sample(kind: type[Struct], **fields: Any) -> dict[str, Any]:
    """As JSON has it: every field is there, lists have one entry; `fields` are said instead."""
    return {**_struct(inspect.type_info(kind)), **fields}


def _struct(type_: inspect.Type) -> dict[str, Any]:
    assert isinstance(type_, inspect.StructType)
    return {field.encode_name: _value(field.type) for field in type_.fields}


def _value(type_: inspect.Type) -> Any:
    match type_:
        case inspect.Metadata():
            return _value(type_.type)
        case inspect.UnionType():
            return _value(next(one for one in type_.types if not isinstance(one, inspect.NoneType)))
        case inspect.StructType():
            return _struct(type_)
        case inspect.ListType():
            return [_value(type_.item_type)]
        case inspect.DictType():
            return {"one": _value(type_.value_type)}
        case inspect.LiteralType():
            return sorted(type_.values, key=str)[0]
        case inspect.BoolType():
            return False
        case inspect.IntType():
            return max(1, type_.ge or 0)
        case inspect.FloatType():
            return float(max(1, type_.ge or 0))
        case inspect.DateTimeType():
            return _TIME
        case inspect.BytesType():
            return ""
        case inspect.StrType():
            return next(text for text in _TEXTS if type_.pattern is None or re.search(type_.pattern, text))
        case _:  # any JSON value
            return {"any": 1}
