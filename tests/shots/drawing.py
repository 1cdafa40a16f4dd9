"""What a terminal shows, as SVG."""

from __future__ import annotations

import io
import re
import socket
import sys
import sysconfig
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100
FETCHED = re.compile(r"\s*@font-face \{.*?\}|<!--.*?-->\s*", re.DOTALL)


def drawn(words: tuple[str, ...], written: str) -> str:
    """The command line, and what it has written."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "green"), (" ".join(("jobkeep", *words)), "bold")))
    console.print(Text.from_ansi(written.rstrip("\n")))
    console.print()  # the last line would lose its feet
    return without_fonts(console.export_svg(title=" ".join(("jobkeep", *words[:1]))))


def without_fonts(svg: str) -> str:
    """A picture asks nobody on the network for anything: whoever looks at it has a font of fixed width."""
    return FETCHED.sub("", svg)


def private(name: str, picture: str) -> None:
    """Raises SystemExit if it tells where it was taken."""
    for secret in (str(Path.home()), sys.prefix, sysconfig.get_path("stdlib"), socket.gethostname(), "url(http"):
        if secret in picture:
            raise SystemExit(f"error: {name} shows {secret!r}")
