"""The interface org.jobkeep.Admin: the daemon itself."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from jobkeep.protocol.interface import Interface, Method, Nothing


class StatusReply(Struct):
    version: str
    pid: int
    uptime_s: float
    protocol: int
    jobs: dict[str, int]  # how many are in each state
    queues: dict[str, QueueInfo]
    locks: int
    sessions: int
    sqlite_version: str
    rss_bytes: int
    socket: str
    state_dir: str
    runtime_dir: str
    database_epoch: str
    epoch: int  # rises by one at each start of a daemon on this state directory


class QueueInfo(Struct):
    limit: int
    running: int
    queued: int


class StopReply(Struct):
    pid: int


class SqlParameters(Struct, forbid_unknown_fields=True):
    query: Annotated[str, Meta(min_length=1, max_length=65536)]


class SqlReply(Struct):
    columns: list[str]
    rows: list[list[Any]]
    truncated: bool = False  # more rows than the limit of 10,000


INTERFACE = Interface(
    "org.jobkeep.Admin",
    "The daemon itself.",
    methods=(
        Method("Status", Nothing, StatusReply, "What the daemon is and does."),
        Method("Stop", Nothing, StopReply, "End the daemon; running jobs go on and are adopted by the next one."),
        Method("Sql", SqlParameters, SqlReply, "Read-only query over the documented views; 5 s at most."),
    ),
)
