"""Serve a dashboard of the jobs to your own browser, on this host alone."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from jobkeep.cli import values
from jobkeep.cli.failures import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
  jobkeep web --open           in your browser
  jobkeep web --read-only      nothing can be changed
  jobkeep web --port 8700      there, or not at all

It prints an address that lets one browser in, once. The browser keeps a pass for as long as it is used every twelve
hours; each time an address has been used the next one is printed, for another browser. From another host:
ssh -L 8642:127.0.0.1:8642 HOST, and open the address as it is printed. Ctrl-C ends the dashboard, and no job."""
NEEDED = ("jinja2", "starlette", "uvicorn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument(
        "--port", type=values.port, metavar="N", help="on this port; 0: any free one (8642, or any where that is taken)"
    )
    parser.add_argument("--read-only", action="store_true", help="show everything, and change nothing")


def run(context: Context, arguments: Options) -> int:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"web needs {', '.join(missing)}, not installed here", "pip install 'jobkeep[web]'")
    words = [f"--socket={arguments.socket}"] if arguments.socket else []
    words += [f"--port={arguments.port}"] if arguments.port is not None else []
    words += [f"--{flag}" for flag in ("open", "read-only") if getattr(arguments, flag.replace("-", "_"))]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "jobkeep.web", *words])  # noqa: S606 - ourselves
