"""What a client asks of the daemon itself, and not of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobkeep.client import requests
from jobkeep.client.channel import Channel
from jobkeep.protocol.admin import DrainReply, RecoverReply, SqlReply, StatusReply
from jobkeep.protocol.metrics import MetricsReply
from jobkeep.protocol.processes import CleanupReply, Process
from jobkeep.protocol.vocabulary import DrainCommands, OnLost

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration
    from jobkeep.protocol.service import Info


class Administrator:
    """The part of a client that concerns the daemon."""

    _channel: Channel

    async def sql(self, query: str) -> SqlReply:
        """A read-only query over the documented views: 5 s, 10,000 rows and 6 MiB at most. Raises InvalidRequest."""
        return await self._channel.ask(requests.sql(query))

    async def status(self) -> StatusReply:
        """What the daemon is and does; sizes in bytes."""
        return await self._channel.ask(requests.status())

    async def metrics(self) -> MetricsReply:
        """What the daemon has counted since its start, and what is so now, as OpenMetrics has it."""
        return await self._channel.ask(requests.metrics())

    async def recover(
        self, *, check: bool = False, older_than: Duration | None = None, then: OnLost | None = None
    ) -> RecoverReply:
        """Look at every run that is under way, and end those that gave no sign of life for `older_than`.

        `check` changes nothing and says what the same call without it does. `then`: fail or resume them; default is
        each job's own `on_lost`. Raises InvalidRequest.
        """
        request = requests.recover(check, older_than, then)
        return await self._channel.ask_apart(lambda: request)

    async def processes(self, *, orphans: bool = False, all: bool = False) -> list[Process]:
        """The processes that are ours or of a configured family, and whose each is; `all`: every one of the host."""
        return (await self._channel.ask(requests.processes(orphans, all))).processes

    async def cleanup(self, *, dry_run: bool = False, reason: str | None = None) -> CleanupReply:
        """End what is left of ended runs, and orphans of families. `dry_run` signals nobody and says what the same call
        without it does. What is under an active run or a session in use is never touched.
        """
        request = requests.cleanup(dry_run, reason)
        return await self._channel.ask_apart(lambda: request)

    async def drain(self, timeout: Duration | None = "60s", commands: DrainCommands = "wait") -> DrainReply:
        """Start no more jobs and interrupt running functions at their next checkpoint: they are queued again, and no
        attempt is used. Returns when nothing runs that is waited for, or after `timeout` (None: no end) with a reply
        that is not `drained`. The daemon goes on draining until `undrain`, or until it ends. Raises InvalidRequest, and
        ConnectionLost where the daemon ends meanwhile.
        """
        timeout_s = requests.seconds(timeout, "timeout")
        return await self._channel.ask_apart(lambda: requests.drain(commands, timeout_s))

    async def undrain(self) -> bool:
        """Start jobs again; whether the daemon was draining."""
        return (await self._channel.ask(requests.undrain())).drained

    async def info(self) -> Info:
        """Vendor, version and interfaces of the daemon."""
        return await self._channel.ask(requests.info())

    async def stop_daemon(self) -> int:
        """End the daemon and return its pid; jobs run on and are adopted by the next one."""
        return (await self._channel.ask(requests.stop())).pid
