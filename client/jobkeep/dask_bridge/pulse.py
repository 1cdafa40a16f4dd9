"""Where others knock to see whether this process lives.

Not at its Dask worker's door: that is closed first when the worker ends, and the function may go on for a while.
"""

from __future__ import annotations

import socket
import threading
import time
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from jobkeep.dask_bridge.messages import Place

AGAIN_S: Final = 0.1


def place_of(worker: str) -> Place:
    """Of the worker of that address, in whose process that is called."""
    return Place(worker, _listen(urlsplit(worker).hostname or ""))


@cache
def _listen(host: str) -> int:
    """The port; the thread there ends with the process."""
    listener = _bound(host)
    threading.Thread(target=_answer, args=(listener,), name="jobkeep pulse", daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def _bound(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, 0), family=family)
    except OSError:  # it is what others call this host, which may not know that
        return socket.create_server(("", 0), family=family)


def _answer(listener: socket.socket) -> None:
    while True:
        try:
            listener.accept()[0].close()
        except OSError:  # who knocked has gone already, or this process has no descriptor left: he waits in the queue
            time.sleep(AGAIN_S)
