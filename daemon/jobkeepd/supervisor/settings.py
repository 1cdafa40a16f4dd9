"""What can be set about supervision. Durations are seconds."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from jobkeep.protocol.jobs import CredentialName, Environment, Function, Labels, Path, Secrets
from jobkeep.protocol.sizes import LARGEST
from jobkeep.protocol.vocabulary import Missed, Name, OnConflict, OnLost, OnMaxHold, OnStall
from jobkeepd.core import rotation
from jobkeepd.core.line import Rule
from jobkeepd.core.sessions import Probe

NameOrNone = Annotated[str, Meta(max_length=128, pattern=r"^([A-Za-z0-9][A-Za-z0-9._:@/+-]*)?\Z")]
Duration = Annotated[float, Meta(gt=0, le=366 * 86400.0)]
KeepFor = Annotated[float, Meta(ge=0, le=36600 * 86400.0)]
Bytes = Annotated[int, Meta(ge=0, le=LARGEST, description="bytes")]  # may be written like 64M
Memory = Annotated[int, Meta(ge=1 << 20, le=LARGEST, description="bytes")]
KeepCount = Annotated[int, Meta(ge=0, le=1 << 40)]


class JobSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[jobs]`"""

    heartbeat_interval: Duration = 5.0  # of a worker that runs a function
    heartbeat_log_interval: Duration = 15.0  # between lines of the log that say what runs, and how far it is
    late_after: Duration = 30.0  # a function without a heartbeat, or with a blocked loop, for this long is late
    stall_after: Annotated[float, Meta(ge=0, le=366 * 86400.0)] = 0.0  # without progress; 0: never
    on_stall: OnStall = "alert"
    grace: Duration = 10.0  # between asking a run to stop and making it
    on_lost: OnLost = "fail"  # what becomes of a run whose end nobody saw
    checkpoint_every: Annotated[int, Meta(ge=1, le=1_000_000)] = 5  # items, unless for_each says otherwise


class RecoverySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[recovery]`"""

    interval: Duration = 60.0  # between looks at every open run
    older_than: Duration = 1800.0  # without a sign of life for so long a function is taken for dead, and ended


class LockSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[locks]`"""

    ttl: Annotated[float, Meta(ge=1, le=86400)] = 60.0  # of a lease; it is renewed three times as often
    max_hold: Duration = 12600.0  # a lock that is held for longer is stale
    on_max_hold: OnMaxHold = "report"  # what becomes of a holder that is verified alive then


class RetentionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[retention]`: of what has ended; 0 is any number"""

    keep_for: KeepFor = 30 * 86400.0  # since its end
    keep_count: KeepCount = 100_000  # in each queue, those that ended last
    keep_events: KeepCount = 1_000_000  # of the journal
    interval: Duration = 60.0  # between two passes


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[logs]`: of each stream of a run"""

    max_bytes: Bytes = 0  # of its own file, before its oldest part is taken out of it; 0: any number
    keep: Annotated[int, Meta(ge=0, le=10_000)] = 1  # parts that stay beside it, each of max_bytes at most

    @property
    def rule(self) -> rotation.Rule:
        return rotation.Rule(self.max_bytes, self.keep)


class CleanupSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[cleanup]`"""

    interval: Duration = 300.0  # between two that come by themselves
    schedule: str = "0 2 * * *"  # and one more by the calendar: a cron expression in the host's time; empty: none
    look_interval: Duration = 30.0  # between looks at all processes: how many a family has, who started whom
    orphaned_for: Duration = 10.0  # what a member of a family must have been before it is ended
    grace: Duration = 5.0  # between SIGTERM and SIGKILL


class FamilySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[families.NAME]`"""

    match: list[str]  # names of executables, as a shell matches them, or args:REGEX for a whole command line
    child_of: str = ""  # the family of those that start its members
    max_processes: Annotated[int, Meta(ge=0, le=1_000_000)] = 0  # more of them call for a clean-up; 0: any number


class QueueSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[queues.NAME]`"""

    limit: Annotated[int, Meta(ge=1, le=10_000)]  # how many of its jobs run at once
    ageing: Duration = 3600.0  # of waiting: what a point of priority is worth
    fair: NameOrNone = "client"  # the label whose values take turns
    keep_for: KeepFor | None = None  # an ended job; None: as in [retention]
    keep_count: KeepCount | None = None  # those that ended last

    @property
    def rule(self) -> Rule:
        return Rule(self.ageing, self.fair or None)


class LimitSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[limits.LABEL]`"""

    max_running: Annotated[int, Meta(ge=1, le=10_000)]  # how many runs of each value of the label at once


class SessionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[sessions.NAME]`"""

    command: Annotated[tuple[str, ...], Meta(min_length=1, max_length=4096)]  # whose process is handed out
    health: Probe | None = None  # asked at every access; without, it is well as long as its process lives
    ready: Probe | None = None  # asked until it says so, once; without, that is `health`
    health_timeout: Duration = 5.0  # an answer that takes longer is none
    start_timeout: Duration = 30.0  # from its start until it is ready
    max_age: Annotated[float, Meta(ge=0, le=366 * 86400.0)] = 0.0  # an older one is replaced at an open; 0: never
    grace: Annotated[float, Meta(ge=0, le=86400.0)] = 10.0  # between asking it to end and making it
    cwd: str = ""  # where it runs
    env: dict[str, str] = {}  # on top of the daemon's own environment
    info: dict[str, Any] = {}  # told to whoever opens it, such as its address


class ScheduleSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[schedules.NAME]`: when, and what is submitted then."""

    cron: str = ""  # five fields, or @daily and the like
    timezone: str = "UTC"  # in which they are meant
    missed: Missed = "run_once"  # what becomes of times at which no daemon ran
    on_conflict: OnConflict | None = None  # what becomes of a job whose key another one has; None: it is left out
    command: Annotated[tuple[str, ...], Meta(min_length=1, max_length=4096)] | None = None  # this, or a function
    function: Function | None = None
    arguments: dict[str, Any] = {}
    queue: Name = "default"
    labels: Labels = {}
    key: Name | None = None
    lock: Name | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    timeout: Duration | None = None
    queue_timeout: Duration | None = None
    stall_after: Annotated[float, Meta(ge=0, le=366 * 86400.0)] | None = None
    on_stall: OnStall | None = None
    on_lost: OnLost | None = None
    retries: Annotated[int, Meta(ge=0, le=1000)] = 0
    backoff: Duration = 1.0
    grace: Annotated[float, Meta(ge=0, le=86400.0)] | None = None
    cwd: Path | None = None
    python: Path | None = None
    nice: Annotated[int, Meta(ge=-20, le=19)] | None = None
    memory: Memory | None = None  # of a run, as what follows
    cpu: Annotated[float, Meta(ge=0.01, le=65536)] | None = None
    nofile: Annotated[int, Meta(ge=16, le=1 << 30)] | None = None
    env: Environment = {}
    secrets: Secrets = []  # names in `env` and `arguments` whose values are kept apart
    credentials: Annotated[list[CredentialName], Meta(max_length=64)] = []
