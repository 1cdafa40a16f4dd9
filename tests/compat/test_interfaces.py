"""Clients, workers and daemons of different releases understand each other, as far as their descriptions tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct, inspect

from jobkeep.protocol import worker
from jobkeep.protocol.registry import INTERFACES, description

from .interfaces import problems_between
from .versions import VERSIONS, worker_protocol

OURS = [name for name in INTERFACES if name.startswith("org.jobkeep.")]
RECORDED = [path for version in VERSIONS for path in sorted(version.glob("*.varlink"))]
each_interface = pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")


@each_interface
def test_clients_of_an_earlier_release_are_understood_and_understand(path: Path) -> None:
    """Methods and parameters stay, new parameters are optional; replies and errors keep every field and every word.

    A word that is new in a reply, such as another state of a job, is one that an earlier client does not know.
    """
    assert problems_between(path.read_text(encoding="utf-8"), str(description(path.stem))) == []


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_worker_of_the_same_protocol_says_nothing_that_an_earlier_daemon_refuses(version: Path) -> None:
    """What is added to the worker's interface is said under another number only."""
    if worker_protocol(version) != worker.PROTOCOL:
        pytest.skip("the worker is told of the older protocol, and speaks that")
    recorded = (version / "org.jobkeep.Worker.varlink").read_text(encoding="utf-8")
    assert problems_between(str(description("org.jobkeep.Worker")), recorded) == []


@pytest.mark.parametrize("name", OURS)
def test_nothing_in_a_reply_refuses_what_a_later_daemon_adds(name: str) -> None:
    """Only what is sent to a daemon may be refused for a field too many."""
    strict = {
        struct.cls.__name__
        for method in INTERFACES[name].methods
        for struct in structs_of(method.reply)
        if struct.forbid_unknown_fields
    }
    assert strict == set()


def structs_of(type_: type[Struct]) -> Iterator[inspect.StructType]:
    """All that a message of this type may hold."""
    todo: list[inspect.Type] = [inspect.type_info(type_)]
    seen: set[type] = set()
    while todo:
        one = todo.pop()
        if isinstance(one, inspect.Metadata):
            todo.append(one.type)
        elif isinstance(one, inspect.UnionType):
            todo.extend(one.types)
        elif isinstance(one, inspect.ListType):
            todo.append(one.item_type)
        elif isinstance(one, inspect.DictType):
            todo.append(one.value_type)
        elif isinstance(one, inspect.StructType) and one.cls not in seen:
            seen.add(one.cls)
            yield one
            todo.extend(field.type for field in one.fields)


OLD = """\
interface org.example.Old
type Kind (a, b, c)
type Thing (name: string, kind: Kind, size: ?int)
method Do(thing: Thing, fast: ?bool) -> (thing: Thing, count: int)
error Bad (why: string)
"""


@pytest.mark.parametrize(
    ("written", "instead", "problem"),
    [
        ("method Do(", "method DoIt(", "there is no Do"),
        ("fast: ?bool", "quick: ?bool", "Do().fast is not known"),
        ("fast: ?bool", "fast: ?bool, must: bool", "Do().must is missing"),
        ("fast: ?bool", "fast: bool", "Do().fast may be absent"),
        ("count: int", "number: int", "Do->.count is missing"),
        ("count: int", "count: ?int", "Do->.count may be absent"),
        ("count: int", "count: string", "Do->.count is another type"),
        ("(a, b, c)", "(a, b, c, d)", "Do->.thing.kind may be d"),
        ("(a, b, c)", "(a, b)", "Do().thing.kind may be c"),
        ("size: ?int", "weight: ?int", "Do().thing.size is not known"),
        ("why: string", "reason: string", "Bad.why is missing"),
    ],
)
def test_a_change_that_breaks_a_caller_is_found(written: str, instead: str, problem: str) -> None:
    """The comparison that the other tests rely on."""
    assert problem in problems_between(OLD, OLD.replace(written, instead))


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("fast: ?bool", "fast: ?bool, slow: ?bool"),
        ("count: int", "count: int, more: string"),
        ("error Bad", "method More() -> ()\nerror Bad"),
        ("why: string", "why: string, hint: string"),
    ],
)
def test_a_change_that_only_adds_is_none(written: str, instead: str) -> None:
    """Optional parameters, fields of replies and errors, methods."""
    assert problems_between(OLD, OLD.replace(written, instead)) == []
