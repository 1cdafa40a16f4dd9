"""Renews a lease from a thread of its own: a holder that blocks, or whose event loop does, keeps its lock."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from jobkeep.client import lock_requests
from jobkeep.client.lease import Lease
from jobkeep.client.plain import PlainConnection
from jobkeep.errors import ConnectionLost, JobkeepError, LeaseLost

_PAUSE_S: Final = 0.25  # between attempts while the daemon is away
_MANY: Final = 64  # links; the daemon takes a few hundred connections of one user
_links = threading.BoundedSemaphore(_MANY)


def _begin_anew() -> None:
    """A forked child has no keepers; and one of its parent's may have had hold of the semaphore in that moment."""
    global _links
    _links = threading.BoundedSemaphore(_MANY)


os.register_at_fork(after_in_child=_begin_anew)


class Keeper:
    """`on_loss` is called in the keeper's thread, once, when the lease is lost; not after `stop`."""

    def __init__(self, path: str, lease: Lease, on_loss: Callable[[], None]) -> None:
        self._path = path
        self._lease = lease
        self._on_loss = on_loss
        self._over = threading.Event()
        self._connection: PlainConnection | None = None
        self._pid = os.getpid()

    def start(self) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the program's threads
        try:
            threading.Thread(target=self._run, name=self._lease.words, daemon=True).start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self) -> None:
        """Renew no more. A forked child has no such thread, and must not touch the connection it shares."""
        self._over.set()
        connection = self._connection
        if connection is not None and os.getpid() == self._pid:
            connection.abort()

    def _run(self) -> None:
        links = _links
        has_link = links.acquire(blocking=False)
        try:
            while not (self._over.is_set() or self._lease.lost):
                self._once(has_link)
        except BaseException as error:
            if not self._over.is_set():
                self._lease.lose(f"it is not renewed any more: {error!r}")
            raise
        finally:
            self._hang_up()
            if has_link:
                links.release()
            if not self._over.is_set():
                self._on_loss()

    def _once(self, has_link: bool) -> None:
        lease = self._lease
        try:
            if has_link:
                self._renew(lease.linger_s)  # taken at once, but answered only now
            self._renew(0.0)
        except LeaseLost as error:
            if not self._over.is_set():
                lease.lose(str(error))
        except JobkeepError:  # no daemon, or one in trouble: the lease has the time that is left
            self._hang_up()
            self._over.wait(min(_PAUSE_S, lease.patience))
        else:
            if not has_link:
                self._hang_up()
                self._over.wait(lease.linger_s)

    def _renew(self, linger_s: float) -> None:
        request = lock_requests.renew(self._lease, linger_s)
        connection = self._connected()
        asked_at = monotonic()
        connection.send(request.frame())
        request.reply(connection.receive(self._lease.patience))
        self._lease.renewed(asked_at)

    def _connected(self) -> PlainConnection:
        if self._connection is None:
            self._connection = PlainConnection(self._path, self._lease.patience)
        if self._over.is_set():  # `stop` may not have seen the connection yet
            raise ConnectionLost(self._path, "this client was closed meanwhile")
        return self._connection

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
