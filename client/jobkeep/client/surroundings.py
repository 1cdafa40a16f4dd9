"""What a job inherits from the process that submits it: environment, directory, umask, interpreter."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PRIVATE = ("JOBKEEP_", "LISTEN_")
# They differ from submit to submit: as part of the environment, each call would need a worker of its own.
_TRACE = {"TRACEPARENT": "traceparent", "TRACESTATE": "tracestate"}
_OWN = ("NOTIFY_SOCKET", *_TRACE)


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables a job gets: none of ours, none of systemd's hand-over, none that JSON cannot carry."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(_PRIVATE) and name not in _OWN and _is_text(name) and _is_text(value)
    }


def trace(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The trace that this process is part of (https://www.w3.org/TR/trace-context/), as fields of a spec."""
    found = ((field, environ.get(name, "")) for name, field in _TRACE.items())
    return {
        field: value for field, value in found if 0 < len(value) <= 512 and value.isascii() and value.isprintable()
    }


def umask() -> int:
    """The process's umask, read without setting it, which other threads would notice."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except (OSError, ValueError, IndexError):
        pass
    return 0o022


def interpreter(cwd: str, environ: Mapping[str, str] = os.environ) -> str:
    """The Python for functions: $VIRTUAL_ENV's, else the one in cwd/.venv, else our own."""
    folders = (environ.get("VIRTUAL_ENV"), os.path.join(cwd, ".venv"))
    for folder in folders:
        if folder:
            python = os.path.join(os.path.abspath(folder), "bin", "python")
            if os.access(python, os.X_OK):
                return python
    return sys.executable


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8
        return False
    return True
