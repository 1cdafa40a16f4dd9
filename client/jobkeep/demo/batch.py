"""The job of the demo: parse every Python file under a folder."""

from __future__ import annotations

import ast
import os
import tokenize
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from jobkeep import BlockingJobContext


def parse_library(ctx: BlockingJobContext, root: str, log: str, every: int) -> dict[str, int]:
    """Parse all files, one item each. A file that does not parse is a failed item; the batch goes on."""
    note_start = start_log(log)

    def one(path: str) -> str:
        note_start(path)
        return parse(path)

    batch = ctx.for_each(python_files(root), one, key=str, every=every)
    return dict(batch.tallies)


def parse_plainly(root: str) -> dict[str, int]:
    """The same without jobkeep: what an uninterrupted pass comes to."""
    tallies: Counter[str] = Counter()
    for path in python_files(root):
        try:
            tallies[parse(path)] += 1
        except Exception:  # noqa: BLE001 - as for_each: whatever an item raises is its failure, not the batch's
            tallies["failed"] += 1
    return dict(tallies)


def python_files(root: str) -> list[str]:
    """Sorted, so that a resumed run meets the same items in the same order. Installed packages are left out."""
    return sorted(str(path) for path in Path(root).rglob("*.py") if "site-packages" not in path.parts)


def parse(path: str) -> str:
    """What the file is: module, script (it can be run) or empty. Raises what is wrong with it."""
    with tokenize.open(path) as file:
        text = file.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes and the like: not what this is about
        body = ast.parse(text, path).body
    if not body:
        return "empty"
    return "script" if any(map(_is_main_guard, body)) else "module"


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def start_log(log: str) -> Callable[[str], None]:
    """A witness outside jobkeep: one line per start of an item, appended whole, whoever writes."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def note(path: str) -> None:
        os.write(descriptor, f"{os.getpid()} {path}\n".encode())

    return note
