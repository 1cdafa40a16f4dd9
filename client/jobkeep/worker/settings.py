"""What a worker is told by its environment, and its timings."""

from __future__ import annotations

from collections.abc import MutableMapping

from msgspec import Struct

from jobkeep.worker.renewal import Origin


class Settings(Struct, frozen=True, kw_only=True):
    """Seconds, unless said otherwise."""

    socket: str
    seat: str
    cookie: str
    spool: str  # a directory
    begun: str | None = None  # a file: see begun.py
    origin: Origin
    beat_s: float = 5.0
    attention_s: float = 2.0  # for a function that looks at stop_reason, before it is cancelled
    fenced_s: float = 2.0  # for a function whose lease is lost, before the process ends regardless
    reply_s: float = 30.0  # a daemon that does not answer for so long is taken for gone
    idle_s: float = 60.0  # without a daemon and without a run
    backoff_s: float = 0.05  # before the first try to reconnect; doubles up to
    backoff_limit_s: float = 1.0
    run_limit: int = 10_000  # runs, then the process retires

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Settings:
        """From the environment; what no job needs to see is removed from it. Raises KeyError."""
        origin = Origin(environ)
        return cls(
            socket=environ["JOBKEEP_SOCKET"],
            seat=environ.pop("JOBKEEP_SEAT"),
            cookie=environ.pop("JOBKEEP_COOKIE"),
            spool=environ.pop("JOBKEEP_SPOOL"),
            beat_s=float(environ.pop("JOBKEEP_HEARTBEAT", "5")),
            begun=environ.pop("JOBKEEP_BEGUN", None),
            origin=origin,
        )
