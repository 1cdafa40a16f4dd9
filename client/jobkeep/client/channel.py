"""Requests over links: one link shared by short calls, links of their own for what takes long, and all repeats."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from jobkeep.client.finding import find
from jobkeep.client.patience import BREAKS, RESTART_S, SILENCE_S, Patience, may_repeat
from jobkeep.client.routes import Request
from jobkeep.client.running import running_network
from jobkeep.client.transport import Link, Network
from jobkeep.errors import DaemonUnreachable, JobkeepError

R = TypeVar("R")

_SPARE = 4  # idle links kept for the next long call
_CROWD = 64  # links taken by long calls; the daemon takes a few hundred connections of one user


class Channel:
    """The way to one daemon. `restart_s` is how long that may be away before a request fails."""

    def __init__(
        self, socket: str | None, autostart: bool | None, *, restart_s: float = RESTART_S, silence_s: float = SILENCE_S
    ) -> None:
        self._socket = socket
        self._autostart = autostart
        self._restart_s = restart_s
        self._silence_s = silence_s
        self._network: Network
        self._path: str | None = None
        self._link: Link | None = None
        self._spare: list[Link] = []
        self._taken: set[Link] = set()
        self._dialling = 0  # links that are about to be taken

    async def open(self) -> None:
        """Find the daemon and connect. Raises DaemonUnreachable or NoDaemon."""
        self._network = running_network()
        self._path = await self._network.in_thread(lambda: find(self._socket, self._autostart))
        await self._shared()

    def close(self) -> None:
        """Close all links; who waits on them gets ConnectionLost."""
        for link in (*self._spare, *self._taken, *([self._link] if self._link else [])):
            link.close()
        self._spare.clear()
        self._path = None

    async def ask(self, request: Request[R]) -> R:
        """One short call, overlapping with others."""
        frame = request.frame()
        link = self._link
        try:
            if link is None or link.closed:
                link = await self._shared()
            return request.reply(await link.call(frame))
        except BREAKS as error:
            if self._path is None or not may_repeat(error, request.route.safe):
                raise
        return await self._insist(request, frame)

    async def ask_apart(self, build: Callable[[], Request[R]]) -> R:
        """One call that may take days; `build` is called again for each attempt, since time has passed."""
        patience = Patience(self._restart_s)
        while True:
            began = monotonic()
            request = build()
            try:
                link = await self.borrow()
                try:
                    message = await link.call(request.frame())
                except BaseException:
                    self.drop(link)  # a reply is still to come
                    raise
                self.give_back(link)
                return request.reply(message)
            except BREAKS as error:
                await self.bear(patience, error, began, request.route.safe)

    def patience(self) -> Patience:
        """For one stream."""
        return Patience(self._restart_s)

    async def _insist(self, request: Request[R], frame: bytes) -> R:
        patience = Patience(self._restart_s)
        while True:
            try:
                return request.reply(await (await self._shared()).call(frame))
            except BREAKS as error:
                await self.bear(patience, error, None, request.route.safe)

    async def bear(self, patience: Patience, error: JobkeepError, began: float | None, safe: bool = True) -> None:
        """Wait a little before the next attempt, or raise the error. `began`: from when on the connection was of use
        until now; one on which a short call was waiting in vain was of none.
        """
        if began is not None:
            patience.held_since(began)
        if self._path is None or not may_repeat(error, safe):
            raise error
        if patience.over():
            raise patience.told(error)
        await self._network.sleep(patience.pause())

    async def _shared(self) -> Link:
        link = await self._dial(self._silence_s)
        current = self._link
        if current is not None and not current.closed:  # somebody else was faster
            link.close()
            return current
        self._link = link
        return link

    @property
    def path(self) -> str:
        """The socket that is talked to. Raises DaemonUnreachable once closed."""
        if self._path is None:
            raise DaemonUnreachable(self._socket or "any socket", "this client is closed; use it in `async with`")
        return self._path

    @property
    def crowded(self) -> bool:
        """Whether so many links are taken that a wait should do without."""
        return len(self._taken) + self._dialling >= _CROWD

    async def pause(self, seconds: float) -> None:
        """Between two looks at the same thing."""
        await self._network.sleep(seconds)

    async def borrow(self) -> Link:
        """A link of one's own, until it is given back or dropped."""
        while self._spare:
            link = self._spare.pop()
            if not link.closed:
                break
        else:
            self._dialling += 1
            try:
                link = await self._dial(None)
            finally:
                self._dialling -= 1
        self._taken.add(link)
        return link

    def give_back(self, link: Link) -> None:
        """No reply is outstanding on it."""
        self._taken.discard(link)
        if self._path is None or len(self._spare) >= _SPARE:
            link.close()
        else:
            self._spare.append(link)

    def drop(self, link: Link) -> None:
        """Replies may still come on it."""
        self._taken.discard(link)
        link.close()

    async def _dial(self, silence_s: float | None) -> Link:
        return await self._network.dial(self.path, silence_s)
