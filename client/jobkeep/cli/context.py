"""What every command needs: where to print, in which manner, and the way to the daemon."""

from __future__ import annotations

import json
import os
import sys

from jobkeep.cli.render.style import Style
from jobkeep.cli.render.text import escape
from jobkeep.cli.wire import Link, Wire
from jobkeep.client.finding import find
from jobkeep.errors import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jobkeep.cli.failures import Failure
    from jobkeep.cli.live import Live
    from jobkeep.cli.options import Options
    from jobkeep.cli.revival import Revival
    from jobkeep.cli.screen import Screen


class Context:
    """One invocation. `style` is that of stdout."""

    def __init__(self, options: Options) -> None:
        self.options = options
        tty = sys.stdout.isatty()
        self.style = Style(
            tty=tty,
            colour=wants_colour(options.color, tty),
            width=None if options.no_trunc or not tty else columns(),
            whole_ids=options.no_trunc,
            now=None,
        )
        self.live: Live | Screen | None = None  # on the terminal, and to go before anything else is written
        self._revival: Revival | None = None
        self.link = self.another_link()

    def another_link(self, say: Callable[[str], None] | None = None) -> Link:
        """A connection beside `link`, which a stream would keep busy. `say` tells that the daemon is gone."""
        return Link(self.dial, lambda path: self._redial(path, say or self.note))

    def dial(self, autostart: bool = True) -> Wire:
        """Connect to the first daemon that answers. With `autostart` one is started if there is none."""
        path = find(self.options.socket, None if autostart else False)
        return Wire(path, self.options.talk_timeout)

    def _redial(self, path: str, say: Callable[[str], None]) -> Wire:
        try:
            wire = Wire(path, self.options.talk_timeout)
        except DaemonUnreachable as error:
            from jobkeep.cli.revival import Revival  # only on the way back to a daemon that is gone

            self._revival = self._revival or Revival(self.options.socket, say)
            if not self._revival.attempt(path):
                raise error from None
            wire = Wire(path, self.options.talk_timeout)
        self._revival = None
        return wire

    def print(self, *lines: str) -> None:
        """Data, to stdout."""
        if lines:
            sys.stdout.write("\n".join(lines) + "\n")

    def print_json(self, value: Any) -> None:
        """One JSON text on a line of its own; ASCII, so that no terminal can be tricked by it."""
        self.print(json.dumps(value, separators=(",", ":")))

    def note(self, text: str) -> None:
        """Anything else, to stderr; not with --quiet."""
        if not self.options.quiet:
            sys.stdout.flush()
            self.clear_line()
            sys.stderr.write(f"jobkeep: {escape(text)}\n")

    def clear_line(self) -> None:
        """Take away the live line or picture, if there is one."""
        if self.live is not None:
            self.live.erase()

    def id(self, id: str) -> str:
        """An id as people see it."""
        return self.style.id(id)

    def complain(self, failure: Failure) -> int:
        """Report one failure of several; -> its exit code."""
        sys.stdout.flush()
        self.clear_line()
        report(failure)
        return failure.code


def report(failure: Failure) -> None:
    """The failure and its hint, to stderr."""
    sys.stderr.write(f"jobkeep: {escape(str(failure))}\n")
    if failure.hint:
        sys.stderr.write(f"hint: {escape(failure.hint)}\n")
    sys.stderr.flush()


def wants_colour(choice: str, tty: bool) -> bool:
    """--color, then NO_COLOR, then whether it is a terminal that can."""
    if choice != "auto":
        return choice == "always"
    return tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns() -> int | None:
    """How wide the terminal is."""
    try:
        return int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None
