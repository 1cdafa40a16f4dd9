"""Tells systemd how the daemon is: READY, STOPPING, STATUS. Does nothing elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket

_WITHIN = 1.0  # seconds; a manager that reads nothing must not hold us up


def notify(message: str) -> None:
    """Send `message` to $NOTIFY_SOCKET, as sd_notify(3) says. Never raises for a manager that is gone."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.settimeout(_WITHIN)
        channel.sendto(message.encode(), address)
