"""Serve the dashboard on a loopback port, and print the address that lets its user in."""

from __future__ import annotations

import socket
import sys
import webbrowser
from typing import Final

import uvicorn

from jobkeep.errors import JobkeepError
from jobkeep.web.app import dashboard
from jobkeep.web.connection import Connection
from jobkeep.web.hub import Hub
from jobkeep.web.tickets import Tickets

HOST: Final = "127.0.0.1"
PORT: Final = 8642
STOPS_WITHIN_S: Final = 2  # what is still answered then is cut off


class PortTaken(JobkeepError):
    """Somebody else listens there."""


def listen(port: int | None) -> socket.socket:
    """On the port; None: the usual one, or any other where that is taken. Raises PortTaken."""
    try:
        return _bound(PORT if port is None else port)
    except OSError as error:
        if port is None:
            return _bound(0)
        taken = PortTaken(f"cannot listen on port {port}: {error.strerror}")
        taken.hint = "another --port, or --port 0 for any that is free"
        raise taken from None


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)  # before the address is told: a browser may be there at once
    except OSError:
        listener.close()
        raise
    return listener


class Doorman:
    """Tells the user's terminal each new ticket; the first one may open a browser."""

    def __init__(self, port: int, open: bool) -> None:
        self._port = port
        self._open = open
        self._tickets = 0

    def announce(self, ticket: str) -> None:
        """By an address that can be used once."""
        address = f"http://{HOST}:{self._port}/login?ticket={ticket}"
        self._tickets += 1
        if self._tickets == 1:
            sys.stdout.write(f"jobkeep: the dashboard is at {address}\n")
            sys.stderr.write("jobkeep: this address can be used once; Ctrl-C ends the dashboard, and no job\n")
            if self._open:
                webbrowser.open(address)
        else:
            sys.stdout.write(f"jobkeep: for another browser: {address}\n")
        sys.stdout.flush()


class Server(uvicorn.Server):
    """Ends the streams of open pages before it waits for what is still answered."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close()
        await super().shutdown(sockets)


async def serve(path: str | None, port: int | None, open: bool, read_only: bool) -> None:
    """Until SIGINT or SIGTERM. Raises DaemonUnreachable where there is no daemon at the start."""
    listener = listen(port)
    with listener:
        async with Connection(path) as connection:
            tickets = Tickets(Doorman(listener.getsockname()[1], open).announce)
            app = dashboard(connection, tickets, read_only)
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, ws="none",
                timeout_graceful_shutdown=STOPS_WITHIN_S,
            )  # fmt: skip
            await Server(config, app.state.desk.hub).serve(sockets=[listener])
