"""Where sockets and state are, by the XDG rules. Standard library only, since fast commands use it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_SOCKET = "/run/jobkeep/socket"
SOCKET_PATH_LIMIT = 107  # bytes of sun_path without its NUL


def user_state_dir(environ: Mapping[str, str] = os.environ) -> str:
    """`${XDG_STATE_HOME:-~/.local/state}/jobkeep`."""
    base = environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):  # the XDG rules: a relative path is ignored
        base = _home(environ) + "/.local/state"
    return base.rstrip("/") + "/jobkeep"


def user_socket(environ: Mapping[str, str] = os.environ) -> str:
    """The per-user daemon's socket: in the runtime directory, or in the state directory where there is none."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        return runtime.rstrip("/") + "/jobkeep/socket"
    runtime = f"/run/user/{os.getuid()}"
    if _is_ours(runtime):
        return runtime + "/jobkeep/socket"
    return user_state_dir(environ) + "/run/socket"


def candidates(explicit: str | None = None, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Sockets to try, in order. One that is named, by argument or $JOBKEEP_SOCKET, is the only one."""
    named = named_socket(explicit, environ)
    return [named] if named else [user_socket(environ), SYSTEM_SOCKET]


def named_socket(explicit: str | None = None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The socket that the caller or the environment asks for, if any. Nothing is started for it."""
    return explicit or environ.get("JOBKEEP_SOCKET") or None


def fits(path: str) -> bool:
    """Whether the kernel takes the path as a Unix socket's address."""
    return len(os.fsencode(path)) <= SOCKET_PATH_LIMIT


def _home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME", "")
    return home.rstrip("/") if home.startswith("/") else os.path.expanduser("~")


def _is_ours(folder: str) -> bool:
    try:
        return os.stat(folder).st_uid == os.getuid()
    except OSError:
        return False
