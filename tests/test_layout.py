"""The budgets and naming rules of daemon/README.md hold for every file of the project."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("client/jobkeep", "daemon/jobkeepd")
FILE_LINES = 300
FUNCTION_LINES = 60
PUBLIC_METHODS = 12
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}

# Classes that are one flat public surface by nature, each with its reason.
WIDE_CLASSES = {
    "SqliteStore": "the Store port, method by method",
    "MemoryStore": "the Store port, method by method",
    "SqlLedger": "the Ledger port, method by method",
    "MemoryLedger": "the Ledger port, method by method",
    "WorkerSeat": "the Seat port on one side, the Worker port on the other",
    "Courier": "the Port of the SDK, in its async and its blocking half",
    "BatchWork": "one batch's bookkeeping, shared by the async and the blocking loop",
}
# Files over the budget, each with its reason.
LONG_FILES = {"client/jobkeep/protocol/jobs.py": "one interface of the wire, declared in one place"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files_of(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


SOURCES = files_of(*PACKAGES)
EVERYTHING = files_of(*PACKAGES, "tests")
TESTS = [path for path in files_of("tests") if path.name.startswith("test_")]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions_of(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def lines_of(node: Function | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", EVERYTHING, ids=named)
def test_a_file_fits_into_its_budget(path: Path) -> None:
    """No file is longer than 300 lines, but for those that say why."""
    lines = len(path.read_text(encoding="utf-8").splitlines())

    assert lines <= FILE_LINES or named(path) in LONG_FILES, f"{lines} lines"


@pytest.mark.parametrize("path", EVERYTHING, ids=named)
def test_a_function_fits_into_its_budget(path: Path) -> None:
    """No function is longer than 60 lines."""
    long = {f.name: lines_of(f) for f in functions_of(parsed(path)) if lines_of(f) > FUNCTION_LINES}

    assert long == {}


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_class_is_not_a_place_for_everything(path: Path) -> None:
    """No class has more than 12 public methods, but for those that say why."""
    wide = {}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ClassDef) and not is_protocol(node):
            public = [f.name for f in node.body if isinstance(f, Function) and not f.name.startswith("_")]
            if len(public) > PUBLIC_METHODS and node.name not in WIDE_CLASSES:
                wide[node.name] = len(public)

    assert wide == {}


def is_public_method(node: ast.stmt) -> bool:
    """Properties are not counted: they are facts, not things that the class does."""
    if not isinstance(node, Function) or node.name.startswith("_"):
        return False
    return not any(isinstance(decorator, ast.Name) and decorator.id == "property" for decorator in node.decorator_list)


def is_protocol(node: ast.ClassDef) -> bool:
    """A port that only declares is as wide as what it stands for."""
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)


@pytest.mark.parametrize("path", EVERYTHING, ids=named)
def test_a_module_name_says_what_is_inside(path: Path) -> None:
    """No module or folder is named utils, common, helpers or manager."""
    assert VAGUE_NAMES.isdisjoint(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", EVERYTHING, ids=named)
def test_a_module_says_in_its_first_line_what_it_is_for(path: Path) -> None:
    """Every module begins with a docstring whose first line is a sentence or title of its own."""
    if path.name == "__init__.py" and not path.read_text(encoding="utf-8").strip():
        return
    docstring = ast.get_docstring(parsed(path))

    assert docstring, "no docstring"
    assert docstring.splitlines()[0].strip(), "the first line is empty"


@pytest.mark.parametrize("path", TESTS, ids=named)
def test_a_test_states_its_claim(path: Path) -> None:
    """Every test function has a docstring: the claim, in a sentence."""
    silent = [f.name for f in functions_of(parsed(path)) if is_test(f) and not ast.get_docstring(f)]

    assert silent == []


def is_test(function: Function) -> bool:
    return function.name.startswith("test_") and not any(
        isinstance(decorator, ast.Attribute) and decorator.attr == "fixture" for decorator in function.decorator_list
    )


def test_files_are_short_on_the_whole() -> None:
    """The median source file of the two packages has at most 120 lines, nine of ten have at most 250."""
    sizes = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES)

    assert sizes[len(sizes) // 2] <= 120
    assert sizes[int(len(sizes) * 0.9)] <= 250
