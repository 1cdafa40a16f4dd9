"""What every page is made of."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from starlette.requests import Request

from jobkeep.web.changes import Change, Part
from jobkeep.web.connection import Connection
from jobkeep.web.hub import Hub
from jobkeep.web.pages import Pages


@dataclass(frozen=True, slots=True)
class Desk:
    """What pages need: the daemon, what tells of its changes, and the templates."""

    connection: Connection
    hub: Hub
    pages: Pages
    read_only: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A page at one moment. `whole`: values of its template, beside the parts. `moving`: it will change by itself."""

    parts: Sequence[Part]
    moving: bool = False
    whole: dict[str, Any] = field(default_factory=dict)


class Screen(Protocol):
    """One page for one address. Pages with equal keys are looked at once for all who see them."""

    @property
    def key(self) -> Hashable: ...

    @property
    def template(self) -> str: ...

    @property
    def live(self) -> str:
        """The address of its stream."""

    async def look(self, desk: Desk) -> Picture: ...

    async def tail(self, desk: Desk, place: str) -> tuple[list[Change], str]:
        """What is added to the page since a place, and how far that is."""


class Still:
    """A page to which nothing is added."""

    async def tail(self, desk: Desk, place: str) -> tuple[list[Change], str]:
        return [], place


def now() -> datetime:
    return datetime.now(UTC)


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk
