"""Forms as they come in, and where to go back to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from jobkeep.errors import InvalidRequest
from jobkeep.web.model.verbs import Kind
from jobkeep.web.screens.base import desk_of
from jobkeep.web.toasts import Toast

REASON: Final = "asked for on the dashboard"  # goes on record
MOST_FIELDS: Final = 5000


class Form:
    """The fields of a form, in their order."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields

    def get(self, name: str) -> str:
        """The last one of a name, without space around it; empty: there is none."""
        return next((value.strip() for key, value in reversed(self.fields) if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    @property
    def sure(self) -> bool:
        """Whether it was asked back already."""
        return self.get("sure") == "1"

    @property
    def forced(self) -> bool:
        return self.get("force") == "1"

    @property
    def reason(self) -> str:
        """What goes on record."""
        return self.get("reason") or REASON


async def form(request: Request) -> Form:
    """Raises InvalidRequest for what is no form."""
    try:
        text = (await request.body()).decode("utf-8")
        return Form(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise InvalidRequest("this is no form of the dashboard") from None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something is done. `word` has to be typed; `force` says what a tick would do."""

    title: str
    text: str
    kind: Kind
    fields: list[tuple[str, str]] = field(default_factory=list)
    word: str = ""
    force: str = ""

    @property
    def label(self) -> str:
        """Of the button, which must not look as if it called the question off: `Cancel 3 jobs` beside `Leave it`."""
        return self.title.removesuffix("?") if self.title.startswith(self.kind.label) else self.kind.label


def ask_back(request: Request, question: Question, back: str, template: str = "sure", **values: Any) -> Response:
    """A page whose own button asks for the same again, and means it."""
    action = request.url.path
    return desk_of(request).pages.page(request, template, question=question, action=action, back=back, **values)


def confirmed(given: Form, word: str) -> None:
    """Raises InvalidRequest unless the word was typed."""
    if given.get("word") != word:
        raise InvalidRequest(f"nothing was done: {word!r} had to be typed", "word")


def done(request: Request, text: str, back: str | None = None, *, good: bool = True, hint: str = "") -> Response:
    """Say so on the page that the form is on, or go `back` to another."""
    toast = Toast(text, "good" if good else "bad", hint)
    return desk_of(request).pages.done(request, toast, back or came_from(request))


def came_from(request: Request) -> str:
    """The page of ours that the form is on."""
    address = urlsplit(request.headers.get("referer", ""))
    if address.netloc != request.headers.get("host"):
        return "/jobs"
    return address.path + (f"?{address.query}" if address.query else "")
