"""When a request is sent again, and how long a daemon that restarts is waited for."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from jobkeep.client.requests import seconds
from jobkeep.errors import (
    ConnectionLost,
    DaemonUnreachable,
    JobkeepError,
    NoDaemon,
    OutcomeUnknown,
    ShuttingDown,
    StreamDropped,
)

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration

RESTART_S = 10.0  # how long a daemon may be away
SILENCE_S = 30.0  # no reply at all for so long: the daemon hangs
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_STEADY_S = 1.0  # a connection that has held so long proves that the daemon was back

BREAKS = (DaemonUnreachable, ShuttingDown, OutcomeUnknown, StreamDropped)


def limit_s(patience: Duration | None) -> float:
    """The argument `patience` of connect; None is for ever. Raises InvalidRequest."""
    limit = seconds(patience, "patience")
    return inf if limit is None else limit


class Patience:
    """Pauses between attempts, until the daemon has been away for too long."""

    __slots__ = ("_away_since", "_limit", "_pause")

    def __init__(self, limit_s: float = RESTART_S) -> None:
        self._limit = limit_s
        self._away_since = monotonic()
        self._pause = 0.0

    def over(self) -> bool:
        """Whether to give up: never before a second attempt, as it may be ourselves who were held up for so long."""
        return self._pause > 0.0 and monotonic() - self._away_since >= self._limit

    def told(self, error: JobkeepError) -> JobkeepError:
        """The error that is given up for, which says how to wait for longer."""
        if isinstance(error, DaemonUnreachable) and not isinstance(error, NoDaemon):
            error.waited_s = self._limit
            error.hint = error.hint or (
                f"it was waited for {self._limit:g} s: connect(patience=\"5m\") waits for longer, None for ever; "
                "jobkeep daemon start starts one"
            )
        return error

    def held_since(self, began: float) -> None:
        """The connection of time `began` (monotonic) was of use until now."""
        if monotonic() - began >= _STEADY_S:
            self._away_since = monotonic()
            self._pause = 0.0

    def pause(self) -> float:
        """Seconds to wait before the next attempt: none before the first."""
        pause, self._pause = self._pause, min(max(self._pause * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        return pause


def may_repeat(error: JobkeepError, safe: bool) -> bool:
    """Whether a request that met this break may be sent again; `safe` says that twice does no more than once."""
    if isinstance(error, NoDaemon):
        return False
    if isinstance(error, ConnectionLost | OutcomeUnknown | StreamDropped):
        return safe
    return isinstance(error, DaemonUnreachable | ShuttingDown)  # it took nothing of it
