"""Messages for the daemon: valid ones of every method, made from the declared types, and damaged copies of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from msgspec import inspect

from jobkeep.protocol.registry import INTERFACES

# What would end the daemon, write files, end processes or keep it from being hostile to: everything else is asked.
SPARED: Final = ("Admin.Stop", "Admin.Backup", "Admin.Drain", "Processes.Cleanup", "Queues.Resume", "Admin.Reload")
NOTHING: Final = "/nonexistent/program-of-the-hostile-test"  # far from the path of any program
ODD: Final = ("\x1b[2J", "\u202e", "\x00", "\ud7ff", "é", "a" * 3000, "../../etc", "default", "")
METHODS: Final = [
    (f"{name}.{method.name}", method)
    for name, interface in INTERFACES.items()
    for method in interface.methods
    if not f"{name}.{method.name}".endswith(SPARED)
]


def strategy(kind: inspect.Type, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a declared type, most of them within its bounds."""
    match kind:
        case inspect.Metadata(type=inner):
            return strategy(inner, depth)
        case inspect.UnionType(types=types):
            return st.one_of(*(strategy(each, depth) for each in types if not isinstance(each, inspect.CustomType)))
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.StructType():
            return of_struct(kind, depth + 1)
        case inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner):
            return st.lists(strategy(inner, depth + 1), max_size=3)
        case inspect.DictType(value_type=inner):
            return st.dictionaries(st.sampled_from(["client", "A", "k"]), strategy(inner, depth + 1), max_size=3)
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            return st.integers(-2, 300) | st.sampled_from([2**31, 2**63, -(2**63), 10**30])
        case inspect.FloatType():
            return st.floats(0, 5, allow_nan=False) | st.sampled_from([-1.0, 1e300])
        case inspect.NoneType():
            return st.none()
    return st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["job1", "abc", *ODD])


def of_struct(kind: inspect.StructType, depth: int) -> st.SearchStrategy[Any]:
    """Programs are none, so that nothing is run."""
    required, optional = {}, {}
    for field in kind.fields:
        if field.encode_name in ("function", "python"):
            continue
        if field.encode_name == "command":
            required["command"] = st.just([NOTHING])
            continue
        (required if field.required else optional)[field.encode_name] = strategy(field.type, depth)
    return st.fixed_dictionaries(required, optional=optional if depth < 4 else {})


def of_method(method: Any) -> st.SearchStrategy[Any]:
    kind = inspect.type_info(method.parameters)
    assert isinstance(kind, inspect.StructType)
    return of_struct(kind, 0)


CALLS: Final = st.sampled_from(METHODS).flatmap(
    lambda named: st.fixed_dictionaries(
        {"method": st.just(named[0]), "parameters": of_method(named[1])},
        optional={"more": st.booleans(), "oneway": st.booleans()},
    )
)


def corpus(count: int, number: int) -> list[bytes]:
    """Calls by hypothesis, encoded; the same for the same number."""
    found: list[bytes] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(CALLS)
    def gather(call: dict[str, Any]) -> None:
        found.append(json.dumps(call).encode())

    gather()
    return found


TOKENS: Final = (
    b"null", b"true", b"-1", b"1e999", b"99999999999999999999", b'""', b"[]", b"{}", b'"\\ud800"', b'"\\u0000"',
    b"[[[[[[", b"\xff", b"\x1b[31m", b',"x":1', b'"id"', b'"more":true', b"NaN", b" " * 50,
)  # fmt: skip


def damaged(seeds: list[bytes], number: int) -> Iterator[bytes]:
    """For ever: calls as they are, and with bytes changed, cut, doubled, or replaced by what parsers trip over."""
    draw = random.Random(number)
    while True:
        message = bytearray(draw.choice(seeds))
        for _ in range(draw.choice((0, 1, 1, 1, 2, 4))):
            place = draw.randrange(len(message) + 1)
            match draw.randrange(6):
                case 0:
                    message[place : place + 1] = bytes([draw.randrange(1, 256)])
                case 1:
                    message[place : place + draw.randrange(1, 9)] = b""
                case 2:
                    message[place:place] = draw.choice(TOKENS)
                case 3:
                    other = draw.choice(seeds)
                    message[place:] = other[draw.randrange(len(other)) :]
                case 4:
                    message[place:place] = message[: draw.randrange(1, 40)]
                case 5:
                    end = message.find(b",", place)
                    message[place : end if end >= 0 else place + 5] = draw.choice(TOKENS)
        yield bytes(message).replace(b"\0", b"0")


def is_harmless(message: bytes) -> bool:
    """Whether it can be sent: what is spared, and programs, must not come back by a mutation."""
    if any(method.encode() in message for method in SPARED) or b'"function"' in message or b'"python"' in message:
        return False
    try:
        said = msgspec.json.decode(message)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return True  # not even a call
    return isinstance(said, dict) and (b'"command"' not in message or NOTHING.encode() in message)
