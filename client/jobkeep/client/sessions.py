"""Sessions, as a program that awaits sees them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from jobkeep.client import requests
from jobkeep.client.channel import Channel
from jobkeep.client.locks import holding
from jobkeep.client.session import Session, close, listed
from jobkeep.protocol.sessions import CloseReply
from jobkeep.protocol.sessions import Session as SessionInfo

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration


class SessionOpening:
    """The part of a client that has to do with sessions."""

    _channel: Channel

    def session(
        self, name: str, *, ttl: Duration | None = None, wait: Duration = 0
    ) -> AbstractAsyncContextManager[Session]:
        """Use a session in an `async with` block: a named long-lived process that the daemon keeps.

        It is checked first, and one that is dead or not there is started, which may take as long as its start does.
        `wait` is how long to wait while somebody else has it. The lease is renewed as that of a lock, and lost as one.
        Entering raises SessionInUse, SessionFailed, UnknownSession.
        """
        session = Session(name, requests.seconds(ttl, "ttl"))
        return holding(self._channel, session, requests.seconds(wait, "wait") or 0.0)

    async def sessions(self) -> list[SessionInfo]:
        """All sessions that are configured or alive: their states, and who uses them."""
        return (await self._channel.ask(listed())).sessions

    async def close_session(self, name: str, *, force: bool = False, reason: str | None = None) -> CloseReply:
        """End the process of a session, all of it. While somebody uses it only with `force`: the lease is lost then.
        Raises SessionInUse, UnknownSession, SessionFailed where its processes do not end.
        """
        return await self._channel.ask_apart(lambda: close(name, force, reason))
