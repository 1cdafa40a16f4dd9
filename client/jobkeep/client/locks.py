"""Locks, as a program that awaits sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jobkeep.client import lock_requests, requests
from jobkeep.client.channel import Channel
from jobkeep.client.keeper import Keeper
from jobkeep.client.lease import Lease
from jobkeep.client.patience import BREAKS
from jobkeep.client.routes import Request
from jobkeep.client.running import running_network
from jobkeep.errors import ConnectionLost, JobkeepError, LeaseLost, LockHeld, OutcomeUnknown
from jobkeep.protocol.locks import Lock, ResetReply

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration

L = TypeVar("L", bound=Lease)
LAST_WORD_S: Final = 2.0  # for giving back what nobody wants any more
RELEASE_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.5  # between looks at a lock that is waited for without a link


class Locking:
    """The part of a client that has to do with locks."""

    _channel: Channel

    def lock(
        self, name: str, *, ttl: Duration | None = None, wait: Duration = 0
    ) -> AbstractAsyncContextManager[Lease]:
        """Hold the lock in an `async with` block; `wait` is how long to wait for it.

        The lease is renewed in the background. When it is lost all the same, the block is cancelled, and leaving it
        raises LeaseLost. `ttl` (1s to 1d, default [locks] ttl) is how long the lock is ours without a renewal, so how
        long the daemon may be away. Entering raises LockHeld. It is not reentrant.
        """
        return holding(self._channel, Lease(name, requests.seconds(ttl, "ttl")), requests.seconds(wait, "wait") or 0.0)

    async def locks(self) -> list[Lock]:
        """The locks that are held."""
        return (await self._channel.ask(lock_requests.held())).locks

    async def lock_info(self, name: str) -> Lock:
        """One lock, held or not. Raises UnknownLock for one that never was."""
        return (await self._channel.ask(lock_requests.show(name))).lock

    async def reset_lock(self, name: str, *, force: bool = False, reason: str | None = None) -> ResetReply:
        """Take the lock from its holder, and raise its token. From a holder that is alive only with `force`: a run is
        ended for sure first, and its job cancelled (`reply.ended`). Raises LockHeld, UnknownLock.
        """
        return await self._channel.ask_apart(lambda: lock_requests.reset(name, force, reason))


@asynccontextmanager
async def holding(channel: Channel, lease: L, wait_s: float) -> AsyncIterator[L]:
    """Take it, renew it in the background, and give it back."""
    import anyio  # dear, and asyncio's client does without otherwise

    try:
        await _take(channel, lease, wait_s)
    except BaseException as error:
        if is_unknown(error):
            with anyio.move_on_after(LAST_WORD_S, shield=True):
                await _give_up(channel, lease)
        raise
    body = anyio.CancelScope()
    keeper = Keeper(channel.path, lease, running_network().from_thread(body.cancel))
    keeper.start()
    try:
        with body:
            yield lease
    except BaseException as error:
        keeper.stop()
        if lease.lost and isinstance(error, Exception):
            error.add_note(f"the {lease.words} was lost meanwhile")
        with anyio.move_on_after(LAST_WORD_S, shield=True):
            await _give_up(channel, lease)
        raise
    keeper.stop()
    if lease.lost:
        with anyio.move_on_after(LAST_WORD_S, shield=True):
            await _give_up(channel, lease)
    else:
        lease.given_back()
        with anyio.move_on_after(RELEASE_S, shield=True):
            await _release(channel, lease)
    lease.check()


def is_unknown(error: BaseException) -> bool:
    """Whether a request for a lock that ended so may have been granted all the same."""
    return not isinstance(error, JobkeepError) or isinstance(error, ConnectionLost | OutcomeUnknown)


async def _take(channel: Channel, lease: Lease, wait_s: float) -> None:
    """Raises LockHeld when it could not be had in time."""
    deadline = monotonic() + wait_s
    while True:
        await _ask(channel, lease, deadline)
        if lease.fresh:
            return
        with suppress(LeaseLost):  # granted while we did not look; has it lasted until now?
            lease.asked_at = monotonic()
            await channel.ask(lock_requests.renew(lease, 0.0))
            lease.confirmed()
            return


async def _ask(channel: Channel, lease: Lease, deadline: float) -> None:
    """On a link of its own; where a program waits for hundreds of things at once, it looks now and then."""
    while True:
        crowded = channel.crowded
        try:
            reply = await channel.ask_apart(partial(_request, lease, 0.0 if crowded else deadline))
        except LockHeld:
            left = deadline - monotonic()
            if not crowded or left <= 0:
                raise
            await channel.pause(min(_LOOK_AGAIN_S, left))
        else:
            lease.accept(reply)
            return


def _request(lease: Lease, deadline: float) -> Request[Any]:
    """From now on."""
    lease.asked_at = monotonic()
    return lease.request(max(0.0, deadline - lease.asked_at))


async def _release(channel: Channel, lease: Lease) -> None:
    try:
        await channel.ask(lock_requests.release(lease))
    except LeaseLost as error:
        lease.lose(str(error))
    except BREAKS:  # was it released? now it is, or else it will be, since nobody renews it
        await _give_up(channel, lease)


async def _give_up(channel: Channel, lease: Lease) -> None:
    with suppress(JobkeepError):  # its ttl will
        await channel.ask(lock_requests.give_up(lease))
