"""The two connections to the daemon, and waiting for either or for the bell."""

from __future__ import annotations

import select
from typing import Final, Literal, Protocol

from jobkeep.worker.channel import Channel

DIAL_S: Final = 5.0


class Bell(Protocol):
    """Readable when it rings."""

    def fileno(self) -> int: ...


class Lines:
    """Both are there, or neither."""

    def __init__(self, bell: Bell) -> None:
        self.orders: Channel | None = None
        self.reports: Channel | None = None
        self._bell = bell.fileno()
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)

    def dial(self, path: str) -> None:
        """Raises OSError."""
        orders = Channel.dial(path, DIAL_S)
        try:
            reports = Channel.dial(path, DIAL_S)
        except OSError:
            orders.close()
            raise
        self.orders, self.reports = orders, reports
        self._poll.register(orders, select.POLLIN)
        self._poll.register(reports, select.POLLIN)

    def hang_up(self) -> None:
        for channel in (self.orders, self.reports):
            if channel is not None:
                self._poll.unregister(channel)
                channel.close()
        self.orders = self.reports = None

    def wait(
        self, patience_ms: float, *, replies: bool = True
    ) -> list[tuple[Literal["bell", "orders", "reports"], int]]:
        """What is ready, and for which of poll's events. `replies`: whether to listen for those."""
        if self.reports is not None:
            wanted = (select.POLLIN if replies else 0) | (select.POLLOUT if self.reports.wants_write else 0)
            self._poll.modify(self.reports, wanted)
        orders = -1 if self.orders is None else self.orders.fileno()
        return [
            ("bell" if ready == self._bell else "orders" if ready == orders else "reports", event)
            for ready, event in self._poll.poll(patience_ms)
        ]

    def drop(self) -> None:
        """In a child that a job forked: the connections are not its own."""
        for channel in (self.orders, self.reports):
            if channel is not None:
                channel.close()
