"""Queues: look at them, pause, resume and limit them."""

from __future__ import annotations

from jobkeep.client import queue_requests
from jobkeep.client.channel import Channel
from jobkeep.protocol.queues import Queue


class Queueing:
    """The part of a client that concerns queues. What it says counts until it is said otherwise."""

    _channel: Channel

    async def queues(self) -> list[Queue]:
        """All queues: their limits, how much they have to do, who has paused them."""
        return (await self._channel.ask(queue_requests.listed())).queues

    async def queue_info(self, name: str) -> Queue:
        """One of them. Raises UnknownQueue."""
        return (await self._channel.ask(queue_requests.show(name))).queue

    async def pause_queue(self, name: str, *, reason: str | None = None) -> Queue:
        """Start none of its jobs from now on; those that run go on. Raises UnknownQueue."""
        return (await self._channel.ask(queue_requests.pause(name, reason))).queue

    async def resume_queue(self, name: str, *, reason: str | None = None) -> Queue:
        """Start its jobs again. Raises UnknownQueue."""
        return (await self._channel.ask(queue_requests.resume(name, reason))).queue

    async def limit_queue(self, name: str, limit: int | None, *, reason: str | None = None) -> Queue:
        """How many of its jobs run at once; None is what the configuration says. Those that run go on. Raises
        UnknownQueue, InvalidRequest.
        """
        return (await self._channel.ask(queue_requests.limit(name, limit, reason))).queue
