"""The pages of the documentation, cut into their blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md", "client/README.md", "daemon/README.md", "systemd/README.md", "SECURITY.md", "CHANGELOG.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")),
)  # fmt: skip
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


class Block(NamedTuple):
    """One of a page. `line` is where its text begins."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name by which its first line calls it, if it is a file."""
        found = re.match(r"# ([\w/]+(?:\.\w+)?)\n", self.text)
        return found[1] if found and self.language in ("python", "bash", "toml") else None


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page: str, text: str | None = None) -> list[Block]:
    """In their order."""
    text = text_of(page) if text is None else text
    found = [
        Block(page, text.count("\n", 0, match.start(2)) + 1, match[1], match[2]) for match in _FENCE.finditer(text)
    ]
    assert 2 * len(found) == len(re.findall(r"^```", text, re.MULTILINE)), f"a block of {page} has no end"
    return found


def phrases_of(page: str) -> list[str]:
    """What stands between single backquotes, outside of blocks; a line's end within one is a space."""
    return [" ".join(phrase.split()) for phrase in _INLINE.findall(_FENCE.sub("", text_of(page)))]
