"""The way back to a daemon that is gone: it is waited for, and the user's own is started again where nobody does."""

from __future__ import annotations

import os
import time

from jobkeep import paths
from jobkeep.client.autostart import refused, start_daemon
from jobkeep.errors import NoDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DIED = 0.5  # seconds that whoever looks after the daemon has for starting it again
STOPPED = 3.0  # the same after an orderly end, which takes the socket with it: it may be an upgrade


class Revival:
    """One absence of the daemon. `socket` is that of --socket, for which nothing is started."""

    def __init__(self, socket: str | None, say: Callable[[str], None]) -> None:
        self._named = paths.named_socket(socket) is not None
        self._since = time.monotonic()
        self._tried = False
        say("the daemon is gone; reconnecting…")

    def attempt(self, path: str) -> bool:
        """Start a daemon at `path` if that is allowed and due; -> whether one answers now. Tried once."""
        patience = DIED if os.path.exists(path) else STOPPED
        if self._tried or time.monotonic() - self._since < patience or not self._allowed(path):
            return False
        self._tried = True
        try:
            start_daemon(socket=path)
        except NoDaemon:
            return False  # it may come back without us
        return True

    def _allowed(self, path: str) -> bool:
        """As at the start of a command: no socket is named, and this one is the user's own."""
        own = not self._named and path == paths.user_socket()
        return own and os.environ.get("JOBKEEP_AUTOSTART") != "0" and refused(os.environ) is None
