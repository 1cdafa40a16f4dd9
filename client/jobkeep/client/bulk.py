"""Verbs for many jobs at once, as a program that awaits sees them."""

from __future__ import annotations

from typing import Unpack

from jobkeep.client import bulk_requests
from jobkeep.client.bulk_requests import Matching, Sweep
from jobkeep.client.channel import Channel
from jobkeep.errors import JobkeepError
from jobkeep.protocol.jobs import MatchingReply


class BulkActing:
    """The part of a client that acts on all jobs that match, without keeping others from the daemon.

    The conditions are those of `jobs`; without any, `all=True` is needed. `state` is by default those in which the
    verb can be meant, `dry_run=True` changes nothing. The reply has the ids, how many are in which state now, and
    the refused by reason. After an error the same call goes on with the rest.
    """

    _channel: Channel

    async def cancel_matching(self, *, force: bool = False, **conditions: Unpack[Matching]) -> MatchingReply:
        """Ask all of them to stop, then make them. Raises InvalidRequest."""
        return await self._sweep(bulk_requests.cancel(conditions, force))

    async def resume_matching(self, *, failed_items: bool = False, **conditions: Unpack[Matching]) -> MatchingReply:
        """Continue all of them from their checkpoints. Raises InvalidRequest."""
        return await self._sweep(bulk_requests.resume(conditions, failed_items))

    async def restart_matching(self, *, from_start: bool = False, **conditions: Unpack[Matching]) -> MatchingReply:
        """End the runs of all of them, then continue them. Raises InvalidRequest."""
        return await self._sweep(bulk_requests.restart(conditions, from_start))

    async def remove_matching(self, **conditions: Unpack[Matching]) -> MatchingReply:
        """Forget all of them that have ended, their output included. Raises InvalidRequest."""
        return await self._sweep(bulk_requests.remove(conditions))

    async def _sweep(self, sweep: Sweep) -> MatchingReply:
        while not sweep.done:
            try:
                sweep.take(await self._channel.ask(sweep.request()))
            except JobkeepError as error:
                sweep.broken(error)
                raise
        return sweep.result()
