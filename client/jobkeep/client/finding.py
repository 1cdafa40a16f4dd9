"""Which daemon to talk to: the first that lets us connect, or one that is started now."""

from __future__ import annotations

import os

from jobkeep import paths
from jobkeep.client.plain import PlainConnection
from jobkeep.errors import DaemonUnreachable, NoDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

HINT = "start one with: jobkeep daemon start"


def find(
    socket: str | None = None, autostart: bool | None = None, environ: Mapping[str, str] = os.environ
) -> str:
    """The path of a socket that somebody listens on; a per-user daemon is started where nobody does.

    `autostart` False forbids that, None leaves it to $JOBKEEP_AUTOSTART. It blocks for up to 10 s.
    Raises DaemonUnreachable for a socket that was named, NoDaemon otherwise.
    """
    named = paths.named_socket(socket, environ)
    errors = []
    for path in paths.candidates(socket, environ):
        try:
            PlainConnection(path, 5.0).close()
        except DaemonUnreachable as error:
            errors.append(error)
        else:
            return path
    if named:
        raise errors[0]
    if autostart is None:
        autostart = environ.get("JOBKEEP_AUTOSTART") != "0"
    if not autostart:
        raise NoDaemon(errors[0].socket, errors[0].why, HINT)
    from jobkeep.client.autostart import start_daemon  # subprocess is dear, and rarely needed

    return start_daemon(environ=environ)
