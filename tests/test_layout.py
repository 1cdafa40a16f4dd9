"""The budgets and naming rules of daemon/README.md hold for every file of the project."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

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
    "SqlTables": "half of the Ledger port, method by method",
    "MemoryLedger": "the Ledger port, method by method",
    "WorkerSeat": "the Seat port on one side, the Worker port on the other",
    "Courier": "the Port of the SDK, in its async and its blocking half",
    "BatchWork": "one batch's bookkeeping, shared by the async and the blocking loop",
}
# Files over the budget, each with its reason.
LONG_FILES = {
    "client/jobkeep/protocol/jobs.py": "one interface of the wire, declared in one place",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files_of(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


SOURCES = set(files_of(*PACKAGES))
EVERYTHING = files_of(*PACKAGES, "tests")
TESTS = {path for path in files_of("tests") if path.name.startswith("test_")}


def functions_of(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def lines_of(node: Function | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", EVERYTHING, ids=named)
def test_a_file_keeps_the_budgets_and_the_rules(path: Path) -> None:
    """Lines of files and functions, public methods of classes, names of modules, what each is for, claims of tests."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, filename=str(path))
    found = [*too_long(path, text, tree), *badly_named(path), *without_words(path, text, tree)]
    if path in SOURCES:
        found += too_wide(tree)

    assert found == []


def too_long(path: Path, text: str, tree: ast.Module) -> list[str]:
    """No file is longer than 300 lines, but for those that say why; no function is longer than 60."""
    lines = len(text.splitlines())
    long = [f"{f.name}: {lines_of(f)} lines" for f in functions_of(tree) if lines_of(f) > FUNCTION_LINES]
    return long + ([f"{lines} lines"] if lines > FILE_LINES and named(path) not in LONG_FILES else [])


def too_wide(tree: ast.Module) -> list[str]:
    """No class has more than 12 public methods, but for those that say why."""
    wide = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not is_protocol(node):
            # a set: the overloads of a method are one method
            public = {f.name for f in node.body if is_public_method(f)}
            if len(public) > PUBLIC_METHODS and node.name not in WIDE_CLASSES:
                wide.append(f"{node.name}: {len(public)} public methods")
    return wide


def badly_named(path: Path) -> list[str]:
    """No module or folder is named utils, common, helpers or manager."""
    return sorted(VAGUE_NAMES.intersection(path.relative_to(ROOT).with_suffix("").parts))


def without_words(path: Path, text: str, tree: ast.Module) -> list[str]:
    """A module begins with a line that says what it is for, and a test with its claim."""
    silent = []
    docstring = ast.get_docstring(tree) or ""
    if (path.name != "__init__.py" or text.strip()) and not docstring.partition("\n")[0].strip():
        silent.append("its first line does not say what it is for")
    if path in TESTS:
        silent += [f"{f.name} has no claim" for f in functions_of(tree) if is_test(f) and not ast.get_docstring(f)]
    return silent


def is_public_method(node: ast.stmt) -> TypeGuard[Function]:
    """Properties are not counted: they are facts, not things that the class does."""
    if not isinstance(node, Function) or node.name.startswith("_"):
        return False
    return not any(isinstance(decorator, ast.Name) and decorator.id == "property" for decorator in node.decorator_list)


def is_protocol(node: ast.ClassDef) -> bool:
    """A port that only declares is as wide as what it stands for."""
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)


def is_test(function: Function) -> bool:
    return function.name.startswith("test_") and not any(
        isinstance(decorator, ast.Attribute) and decorator.attr == "fixture" for decorator in function.decorator_list
    )


def test_files_are_short_on_the_whole() -> None:
    """The median source file of the two packages has at most 120 lines, nine of ten have at most 250."""
    sizes = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES)

    assert sizes[len(sizes) // 2] <= 120
    assert sizes[int(len(sizes) * 0.9)] <= 250
