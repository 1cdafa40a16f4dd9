"""What the supervisor needs of a runner, and a runner of slots. The concrete ones are chosen in main alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from jobkeepd.core.admission import Need
from jobkeepd.core.ending import RunEnd
from jobkeepd.core.limits import Limits
from jobkeepd.core.liveness import Look, Signs
from jobkeepd.core.model import Exit, Identity, Job, RunRef, SavedCheckpoint
from jobkeepd.core.sessions import Probe
from jobkeepd.core.sight import Sight
from jobkeepd.errors import StartFailed


class LeaderOrder(Struct, frozen=True):
    """Everything a slot needs to start a leader. Times in seconds, paths absolute."""

    run: str  # unique name of this start; record files are called after it
    argv: tuple[str, ...]
    env: Mapping[str, str]  # beats `base`
    cwd: str
    umask: int
    stdout: str  # opened with O_APPEND|O_CREAT, 0600
    stderr: str
    grace: float  # between TERM and KILL for what is left once the leader has ended
    limits: Limits | None = None  # set before exec, or the leader is not started
    base: Mapping[str, str] = {}  # more variables; cheap when the same object comes again and again


class Execution(Protocol):
    """One leader in one slot, from the moment its gate opened."""

    on_survivors: Callable[[Sequence[Sequence[Any]]], None]  # told whom SIGKILL has not ended for a while

    @property
    def leader(self) -> Identity: ...

    @property
    def silent(self) -> bool:
        """Whether it is known, once drained, that nothing was written to stdout and stderr."""

    @property
    def left(self) -> Mapping[str, Any]:
        """Once drained: who was signalled to get that far."""

    @property
    def proven(self) -> bool:
        """Whether it is known, once drained, that nothing of the run is left: nobody may have been there to tell."""

    async def exited(self) -> Exit | None:
        """Wait until the leader has ended; None if slot and spawner are gone without a record of it.

        Raises StartFailed if it had come to its gate, and no further: nothing of it ever ran.
        """

    async def drained(self) -> None:
        """Wait until ECHILD proved that nothing of the run is left, or until the slot is gone."""

    async def signal(self, number: int) -> None:
        """Send `number` to the leader's process group; does nothing once the leader has ended."""

    async def end(self) -> None:
        """Order SIGKILL for everything under the slot, again and again until nothing is left."""


class Slot(Protocol):
    """A shim: one leader at a time."""

    @property
    def name(self) -> str: ...

    @property
    def takes_runs(self) -> bool:
        """Whether leaders may be started in it: it lives, and is of our version."""

    @property
    def lasts(self) -> bool:
        """Whether its run has lasted, and is its last one: the slot ends with it."""

    async def start(self, order: LeaderOrder) -> Execution:
        """Start the leader. Raises StartFailed; then nothing of it ever ran."""

    async def retire(self) -> None:
        """Let the shim end once it is idle. Never raises."""


class DeadSlot:
    """A slot whose shim is gone while its leader may live on, under the spawner. Implements Slot."""

    takes_runs = lasts = False

    def __init__(self, name: str) -> None:
        self.name = name

    async def start(self, order: LeaderOrder) -> Execution:
        raise StartFailed("slot", f"slot {self.name} is gone")

    async def retire(self) -> None:
        """There is nothing to let go of."""


class FoundSlot(Struct, frozen=True):
    """A slot met again after a daemon restart, or the records it left.

    `run` is what it last accepted, with `execution` if that has not drained yet; `exit` is set when the leader's
    end is on record. A `silent` slot lives, but has not answered: its records alone speak, and it may have been sent
    more than they tell.
    """

    name: str
    slot: Slot | None  # None: the shim is gone
    run: str | None
    execution: Execution | None
    exit: Exit | None
    failed: StartFailed | None = None  # it never started, and why
    silent: bool = False
    begun: tuple[str, ...] | None = None  # by a worker, the last run last; None: not on record
    proven: bool = True  # where it is over: ECHILD has proved that nothing is left
    left: Mapping[str, Any] = {}  # and who was signalled to get that far


class SlotSource(Protocol):
    """Makes slots (through the spawner) and finds them again."""

    async def open(self) -> Slot:
        """A fresh slot. Raises StartFailed(stage="slot") when the spawner cannot fork one."""

    async def find(self) -> list[FoundSlot]:
        """Dial every slot of the runtime directory, in parallel, within one deadline."""

    async def look_again(self, found: FoundSlot, run: str) -> FoundSlot:
        """Wait until a silent slot has answered or is dead, and see what became of `run` then."""

    def forget(self, run: str) -> None:
        """Remove the records of a run whose end is committed."""

    def renounce(self) -> None:
        """Slots and the spawner are about to end, and no others are to be made."""


class Processes(Protocol):
    """Processes of this host that are not ours: they are looked at, and never signalled."""

    def identify(self, pid: int) -> Identity | None:
        """Who has this pid now; None if nobody has, or the kernel would not tell."""

    def alive(self, who: Identity) -> bool | None:
        """Whether that very process lives; None if the kernel would not tell."""

    async def ended(self, who: Identity) -> None:
        """Wait until that very process has ended."""


class HostLook(Struct, frozen=True):
    """All processes of one moment, but the kernel's own. `now` in seconds since the boot."""

    now: float
    boot_id: str
    daemon: int
    cgroup: str  # the daemon's own
    sights: Mapping[int, Sight]
    slots: Mapping[int, str]  # live shims, by pid
    spawners: frozenset[int]
    members: Mapping[int, str] = {}  # of the control groups of slots, by pid


class Lookout(Protocol):
    """Sees the processes of this host, and blocks nobody meanwhile."""

    async def look(self, arguments: bool, afresh: bool = False) -> HostLook:
        """Whatever lives after the call. `arguments`: whether command lines matter; `afresh`: nothing is remembered."""

    async def closer(self, sights: Sequence[Sight]) -> list[Sight]:
        """The same, each read anew, with its command line, its control group, and its user for certain."""


class Ended(Struct, frozen=True):
    """What became of one that was to be ended. `sent` are the signals that it got, which it did as `who`."""

    sight: Sight
    who: Identity | None
    sent: tuple[int, ...] = ()
    gone: bool = True
    why: str = ""  # it was not signalled, or lives on


class Reaper(Protocol):
    """Ends processes that nobody owns."""

    async def end(self, sights: Sequence[Sight], grace: float) -> list[Ended]:
        """SIGTERM, and SIGKILL after `grace` seconds, for those that are still what was seen."""


class Target(Struct, frozen=True):
    """The process of a session, and what its checks run with where they are commands."""

    run: RunRef
    cwd: str
    env: Mapping[str, str]  # beats `base`
    base: Mapping[str, str]


class Probing(Protocol):
    """Asks a process whether it is well."""

    async def check(self, probe: Probe, target: Target, timeout: float) -> str:
        """What is wrong, within about `timeout` seconds; "" if it is well."""

    def last_line(self, run: RunRef) -> str | None:
        """What it has written last."""


class Launch(Struct, frozen=True):
    """One run, ready to be sent to a seat."""

    job: Job  # with its open run
    checkpoint: SavedCheckpoint
    environment: Mapping[str, str]  # cleaned; the same object for the same environment, so that slots know it again
    signs: Signs
    steps: Sequence[str] = ()  # names of those whose results are stored
    arguments: Mapping[str, Any] = {}  # secret ones, beside those of the spec


class Seat(Protocol):
    """A slot or a worker: takes one run at a time."""

    @property
    def name(self) -> str: ...

    @property
    def need(self) -> Need: ...

    @property
    def usable(self) -> bool:
        """Whether another run may be sent to it."""

    async def run(self, launch: Launch, started: Callable[[Identity | None], None]) -> RunEnd:
        """Send the run and wait for its end; nothing of it is left when this returns.

        `started` is called at the latest when the run is known to have passed its gate. Cancelling the call leaves the
        run alone (the daemon ends, the run goes on).
        """

    async def rejoin(self, launch: Launch) -> RunEnd:
        """Wait for the end of a run that an earlier daemon sent here."""

    def settle(self, run: RunRef) -> None:
        """The end of `run` is durable: whoever waits to hear so is told, and its records may go."""

    # What follows does nothing for a run that is not here (any more): the seat may have passed on to another.

    def look(self, run: RunRef) -> Look:
        """What can be seen of the run from outside."""

    def leader(self, run: RunRef) -> Identity | None:
        """Whom signals for the run go to, or to whose group."""

    def fence(self, run: RunRef) -> bool:
        """Heed nothing that the run says from now on, and let it know as soon as it listens again.

        False for one that says nothing, or has told its end already.
        """

    async def ask(self, run: RunRef, reason: str) -> None:
        """Ask a run that is here to stop: cooperatively if it can listen, with SIGTERM otherwise."""

    async def retire(self) -> None:
        """It is idle and not needed any more."""

    async def terminate(self, run: RunRef) -> None:
        """SIGTERM for the run, or for the worker that runs it."""

    async def kill(self, run: RunRef) -> None:
        """SIGKILL for everything of the run."""


class Runner(Protocol):
    """Seats, pooled by what they can take."""

    async def acquire(self, need: Need, environment: Mapping[str, str]) -> Seat:
        """An idle seat, or a new one. Raises StartFailed."""

    def release(self, seat: Seat) -> None:
        """The seat is idle again; an unusable one is dropped."""
