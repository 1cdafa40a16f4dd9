"""The descriptions are true, and other people's parsers understand them."""

from __future__ import annotations

import re
from typing import Literal

import pytest
import varlink.scanner  # type: ignore[import-untyped]
from msgspec import Struct

from jobkeep.protocol.faults import FAULTS
from jobkeep.protocol.idl import describe
from jobkeep.protocol.interface import Interface, Method
from jobkeep.protocol.registry import INTERFACES, description

OURS = [name for name in INTERFACES if name.startswith("org.jobkeep.")]


def parsed(name: str) -> varlink.scanner.Interface:
    text = description(name)
    assert text is not None
    return varlink.scanner.Interface(text)


@pytest.mark.parametrize("name", INTERFACES)
def test_another_parser_finds_every_method(name: str) -> None:
    """The reference parser reads the text, and finds each declared method with its fields."""
    members = parsed(name).members

    for method in INTERFACES[name].methods:
        found = members[method.name]
        assert list(found.in_type.fields) == list(method.parameters.__struct_fields__)
        assert list(found.out_type.fields) == list(method.reply.__struct_fields__)


@pytest.mark.parametrize("name", OURS)
def test_every_error_is_declared_once_where_its_name_says(name: str) -> None:
    """An error that a client may meet is in the interface of its name."""
    declared = {f"{name}.{member}" for member in re.findall(r"^error (\w+)", str(description(name)), re.MULTILINE)}

    assert declared == {fault for fault in FAULTS if fault.rpartition(".")[0] == name}


@pytest.mark.parametrize("name", INTERFACES)
def test_every_type_that_is_used_is_declared_exactly_once(name: str) -> None:
    """No name is missing, none means two things."""
    text = re.sub(r"^#.*$", "", str(description(name)), flags=re.MULTILINE)
    declared = re.findall(r"^(?:type|method|error) (\w+)", text, re.MULTILINE)
    used = set(re.findall(r"[:\])?] ?([A-Z]\w*)", text))

    assert len(declared) == len(set(declared))
    assert used <= set(declared)


@pytest.mark.parametrize("name", INTERFACES)
def test_every_field_has_a_name_that_varlink_allows(name: str) -> None:
    """Letters, digits and single inner underscores."""
    fields = re.findall(r"[(\s](\w+):", re.sub(r"#.*", "", str(description(name))))

    assert all(re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*", field) for field in fields)


def test_types_are_written_as_varlink_has_them() -> None:
    """One of each: named types, maps, lists, what may be absent, and what is anything."""
    text = describe(Interface("org.example.Shop", "A shop.", (Method("Buy", Basket, Receipt, "Buy it."),)), [NoMoney])

    assert text == EXPECTED


class Item(Struct):
    """One of\n    the things."""

    name: str
    size: Literal["small", "large"]
    weight: float | None


class Basket(Struct):
    items: list[Item]
    notes: dict[str, str]
    gift: bool = False


class Receipt(Struct):
    total: int


class NoMoney(Struct):
    """You are broke."""

    missing: int


EXPECTED = """\
# A shop.
interface org.example.Shop

type ItemSize (large, small)

# One of
# the things.
type Item (name: string, size: ItemSize, weight: ?float)

# Buy it.
method Buy(items: []Item, notes: [string]string, gift: ?bool) -> (total: int)

# You are broke.
error NoMoney (missing: int)
"""


def test_the_reply_of_a_stream_may_be_empty() -> None:
    """Its last one is: so every field of it may be absent."""
    assert "-> (event: ?Event)" in str(description("org.jobkeep.Jobs"))


def test_an_interface_that_is_not_ours_has_no_description() -> None:
    """None, not an exception: the caller knows which error that is."""
    assert description("org.example.Shop") is None
