"""Templates to responses: whole pages, parts of pages for a live stream, and what an action has come to."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobkeep.errors import JobkeepError
from jobkeep.web.toasts import Toast, refusal, status
from jobkeep.wording import escape

NAVIGATION: Final = (
    ("/jobs", "Jobs"),
    ("/locks", "Locks"),
    ("/queues", "Queues"),
    ("/processes", "Processes"),
    ("/system", "System"),
)


def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("jobkeep.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters["segment"] = lambda text: quote(str(text), safe="")
    found.filters["visible"] = escape
    found.globals["navigation"] = NAVIGATION
    return found


class Pages:
    """`read_only`: buttons are left out."""

    def __init__(self, read_only: bool) -> None:
        self._environment = _environment()
        self._environment.globals["read_only"] = read_only
        for name in self._environment.list_templates():  # now, and not while the first page is waited for
            self._environment.get_template(name)

    def part(self, template: str, **values: Any) -> str:
        """HTML of a part of a page."""
        return self._environment.get_template(f"parts/{template}.html").render(**values).strip()

    def page(self, request: Request, template: str, code: int = 200, **values: Any) -> Response:
        """A whole page, with what is still to be told to whoever asked."""
        visitor = getattr(request.state, "visitor", None)
        toasts = visitor.take_toasts() if visitor is not None else []
        text = self._environment.get_template(f"{template}.html").render(
            path=request.url.path, toasts=toasts, **{"live": "", **values}
        )
        return HTMLResponse(text, code)

    def failure(self, request: Request, error: JobkeepError) -> Response:
        """The page, or the toast, that tells of an error."""
        return self.told(request, [refusal(error)], status(error))

    def told(self, request: Request, toasts: Sequence[Toast], code: int) -> Response:
        """An answer that is only words: a toast where the page is alive, else a page."""
        if _alive(request):
            return self._toasts(toasts, code)
        title = HTTPStatus(code).phrase
        return self.page(request, "told", code, title=title, told=toasts[0])

    def done(self, request: Request, toast: Toast, back: str) -> Response:
        """An action was carried out: say so where the user is."""
        if _alive(request):
            return self._toasts([toast], 200)
        request.state.visitor.toasts.append(toast)
        return RedirectResponse(local(back), 303)

    def refusal(self, request: Request, code: int, text: str) -> Response:
        """The guard has not let it in."""
        return self.told(request, [Toast(text, "bad")], code)

    def locked(self, request: Request) -> Response:
        """Whoever it is has no pass, or an old one."""
        if _alive(request) or request.headers.get("accept", "").startswith("text/event-stream"):
            text = "Your pass has expired. Reload the page to see how to get a new one."
            return self._toasts([Toast(text, "bad")], 401)
        return self.page(request, "locked", 401)

    def _toasts(self, toasts: Sequence[Toast], code: int) -> Response:
        return HTMLResponse("".join(self.part("toast", toast=toast) for toast in toasts), code)


def _alive(request: Request) -> bool:
    """Whether htmx has asked, and takes parts of a page."""
    return request.headers.get("hx-request") == "true"


def local(path: str) -> str:
    """A path of ours, whatever a form says."""
    if path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable():
        return path
    return "/jobs"
