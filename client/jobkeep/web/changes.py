"""What has changed between two pictures of a page: the least that a browser must replace. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

APPEND: Final = "beforeend"
REPLACE: Final = "outerMorph"


@dataclass(frozen=True, slots=True)
class Part:
    """An element of a page by its id, as HTML. `rows` are its children by theirs, where they may change alone."""

    id: str
    html: str
    rows: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """HTML for the element of an id, and how it goes there."""

    id: str
    html: str
    how: str = REPLACE

    def markup(self) -> str:
        """As htmx takes it."""
        return f'<hx-partial hx-target="#{self.id}" hx-swap="{self.how}">{self.html}</hx-partial>'


def changes(before: Mapping[str, Part], now: Sequence[Part]) -> list[Change]:
    """`before`: the parts that the browser has, by id."""
    found: list[Change] = []
    for part in now:
        old = before.get(part.id)
        if old == part:
            continue
        if old is not None and part.rows and list(old.rows) == list(part.rows):
            found += [Change(id, html) for id, html in part.rows.items() if old.rows[id] != html]
        else:
            found.append(Change(part.id, part.html))
    return found
