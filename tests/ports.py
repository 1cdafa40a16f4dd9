"""Ports for servers that tests start: none that the kernel may hand out to the test beside them meanwhile."""

from __future__ import annotations

import random
import socket
from contextlib import suppress


def free_port() -> int:
    """On which nobody listens, nor does the next who asks for any port."""
    for port in random.sample(range(10_000, 32_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")
