"""Locks, as a program without event loop sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from jobkeep.blocking.channel import BlockingChannel
from jobkeep.client import lock_requests, requests
from jobkeep.client.keeper import Keeper
from jobkeep.client.lease import Lease
from jobkeep.client.locks import is_unknown
from jobkeep.client.patience import BREAKS
from jobkeep.client.plain import PlainConnection
from jobkeep.client.routes import Request
from jobkeep.errors import JobkeepError, LeaseLost
from jobkeep.protocol.locks import Lock, ResetReply

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration

L = TypeVar("L", bound=Lease)
_LAST_WORD_S = 2.0  # for giving back what nobody wants any more


class BlockingLocking:
    """The part of a client that has to do with locks."""

    _channel: BlockingChannel

    def lock(self, name: str, *, ttl: Duration | None = None, wait: Duration = 0) -> AbstractContextManager[Lease]:
        """Hold the lock in a `with` block; `wait` is how long to wait for it.

        The lease is renewed in the background. When it is lost all the same, nothing can stop the block: look at
        `lease.lost`, or call `lease.check()` before each step that must not be taken twice. Leaving the block raises
        LeaseLost. `ttl` (1s to 1d, default [locks] ttl) is how long the lock is ours without a renewal, so how long
        the daemon may be away. Entering raises LockHeld. It is not reentrant. A forked child does not hold it.
        """
        return hold(self._channel, Lease(name, requests.seconds(ttl, "ttl")), requests.seconds(wait, "wait") or 0.0)

    def locks(self) -> list[Lock]:
        """The locks that are held."""
        return self._channel.ask(lock_requests.held()).locks

    def lock_info(self, name: str) -> Lock:
        """One lock, held or not. Raises UnknownLock for one that never was."""
        return self._channel.ask(lock_requests.show(name)).lock

    def reset_lock(self, name: str, *, force: bool = False, reason: str | None = None) -> ResetReply:
        """Take the lock from its holder, and raise its token. From a holder that is alive only with `force`: a run is
        ended for sure first, and its job cancelled (`reply.ended`). Raises LockHeld, UnknownLock.
        """
        return self._channel.ask_apart(lambda: lock_requests.reset(name, force, reason))


@contextmanager
def hold(
    channel: BlockingChannel, lease: L, wait_s: float, on_loss: Callable[[], None] = lambda: None
) -> Iterator[L]:
    """`on_loss` is called in another thread when the lease is lost."""
    try:
        _take(channel, lease, wait_s)
    except BaseException as error:
        if is_unknown(error):
            _give_up(channel, lease)
        raise
    keeper = Keeper(channel.path, lease, on_loss)
    keeper.start()
    try:
        yield lease
    except BaseException as error:
        if not lease.inherited:
            keeper.stop()
            if lease.lost and isinstance(error, Exception):
                error.add_note(f"the {lease.words} was lost meanwhile")
            _give_up(channel, lease)
        raise
    if lease.inherited:  # a forked child has nothing to give back
        return
    keeper.stop()
    if lease.lost:
        _give_up(channel, lease)
    else:
        lease.given_back()
        _release(channel, lease)
    lease.check()


def _take(channel: BlockingChannel, lease: Lease, wait_s: float) -> None:
    """Raises LockHeld when it could not be had in time."""
    deadline = monotonic() + wait_s

    def build() -> Request[Any]:
        lease.asked_at = monotonic()
        return lease.request(max(0.0, deadline - lease.asked_at))

    while True:
        lease.accept(channel.ask_apart(build))
        if lease.fresh:
            return
        with suppress(LeaseLost):  # granted while we did not look; has it lasted until now?
            lease.asked_at = monotonic()
            channel.ask(lock_requests.renew(lease, 0.0))
            lease.confirmed()
            return


def _release(channel: BlockingChannel, lease: Lease) -> None:
    try:
        channel.ask(lock_requests.release(lease))
    except LeaseLost as error:
        lease.lose(str(error))
    except BREAKS:  # was it released? now it is, or else it will be, since nobody renews it
        _give_up(channel, lease)


def _give_up(channel: BlockingChannel, lease: Lease) -> None:
    """One attempt, of two seconds at most: whoever leaves because something is wrong does not want to wait."""
    with suppress(JobkeepError):  # its ttl will
        connection = PlainConnection(channel.path, _LAST_WORD_S)
        try:
            connection.exchange(lock_requests.give_up(lease).frame())
        finally:
            connection.close()
