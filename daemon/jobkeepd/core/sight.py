"""What is seen of processes, and what the daemon knows beside it: the evidence, by which `ownership` judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from jobkeepd.core.families import Families

Evidence = Literal[
    "slot", "cookie", "record", "seen", "cgroup", "session", "descent",  # strong
    "name", "arguments", "orphaned", "driver", "uid",  # weak
]  # fmt: skip
Key: TypeAlias = tuple[int, int]  # pid and start ticks: who it is, of one boot

OLD_ENOUGH: Final = 1.0  # seconds; before that a pid and its start, in ticks of 10 ms, might be two processes'


class Mark(Struct, frozen=True, gc=False):
    """What a process was started with in its environment. `job` and `number` of a run, `seat` of a worker."""

    cookie: str
    job: str | None = None
    number: int | None = None
    seat: str | None = None


class Sight(Struct, frozen=True, gc=False):
    """A process, as a look at /proc has seen it. `born` in seconds since the boot; `uid` None: they differ."""

    pid: int
    start_ticks: int
    parent: int
    uid: int | None
    state: str = "S"
    born: float = 0.0
    names: tuple[str, ...] = ()
    command: str = ""
    mark: Mark | None = None
    keep: bool = False  # it wants to stay
    readable: bool = True  # its environment, that is
    cgroup: str = ""
    cpu_s: float = 0.0
    rss_bytes: int = 0
    pidfd_inode: int | None = None  # where it was looked at more closely: no other process of this boot has it

    @property
    def key(self) -> Key:
        return self.pid, self.start_ticks


class Claim(Struct, frozen=True, gc=False):
    """A run that a process is of: JOB.NUMBER, or a worker's. `live`: it has not ended."""

    run: str
    live: bool


class Known(Struct, frozen=True):
    """What the daemon knows beside what it sees. `now` in seconds since the boot."""

    uid: int
    now: float
    daemon: int  # our pid
    cgroup: str = ""  # our own
    spawners: frozenset[int] = frozenset()
    slots: Mapping[int, str | None] = {}  # live shims by pid: the run that each has
    claims: Mapping[Mark, Claim] = {}  # of marks that are proven ours
    recorded: Mapping[Key, Claim] = {}  # leaders
    seen: Mapping[Key, Claim] = {}  # beneath a run, by an earlier look
    members: Mapping[int, Claim] = {}  # by pid, of control groups of slots
    protected: Mapping[Key, str] = {}  # roots of what must stay, such as sessions in use, and what to call them
    families: Families = Families()
    driven: frozenset[Key] = frozenset()  # seen beneath a driver by an earlier look
    parented: Mapping[Key, float] = {}  # when it was last seen with a parent of its own
    orphaned_for: float = 10.0  # seconds that a member of a family must have been an orphan
