"""What the supervisor needs of a runner, and a runner of slots. The concrete ones are chosen in main alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from jobkeep.protocol.jobs import Progress
from jobkeepd.core.admission import Need
from jobkeepd.core.ending import RunEnd
from jobkeepd.core.model import Exit, Identity, Job, RunRef, SavedCheckpoint
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
    base: Mapping[str, str] = {}  # more variables; cheap when the same object comes again and again


class Execution(Protocol):
    """One leader in one slot, from the moment its gate opened."""

    @property
    def leader(self) -> Identity: ...

    @property
    def silent(self) -> bool:
        """Whether it is known, once drained, that nothing was written to stdout and stderr."""

    async def exited(self) -> Exit | None:
        """Wait until the leader has ended; None if slot and spawner are gone without a record of it."""

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
    def alive(self) -> bool: ...

    async def start(self, order: LeaderOrder) -> Execution:
        """Start the leader. Raises StartFailed; then nothing of it ever ran."""

    async def retire(self) -> None:
        """Let the shim end once it is idle. Never raises."""


class DeadSlot:
    """A slot whose shim is gone while its leader may live on, under the spawner. Implements Slot."""

    alive = False

    def __init__(self, name: str) -> None:
        self.name = name

    async def start(self, order: LeaderOrder) -> Execution:
        raise StartFailed("slot", f"slot {self.name} is gone")

    async def retire(self) -> None:
        """There is nothing to let go of."""


class FoundSlot(Struct, frozen=True):
    """A slot met again after a daemon restart, or the records it left.

    `run` is what it last accepted, with `execution` if that has not drained yet; `exit` is set when the leader's
    end is on record.
    """

    name: str
    slot: Slot | None  # None: the shim is gone
    run: str | None
    execution: Execution | None
    exit: Exit | None
    failed: StartFailed | None = None  # it never started, and why


class SlotSource(Protocol):
    """Makes slots (through the spawner) and finds them again."""

    async def open(self) -> Slot:
        """A fresh slot. Raises StartFailed(stage="slot") when the spawner cannot fork one."""

    async def find(self) -> list[FoundSlot]:
        """Dial every slot of the runtime directory, in parallel, within one deadline."""

    def forget(self, run: str) -> None:
        """Remove the records of a run whose end is committed."""


class Launch(Struct, frozen=True):
    """One run, ready to be sent to a seat."""

    job: Job  # with its open run
    checkpoint: SavedCheckpoint
    environment: Mapping[str, str]  # cleaned; the same object for the same environment, so that slots know it again
    signs: Signs


class Signs(Struct):
    """The newest signs of life of one run. Written as they come, read by whoever asks."""

    progress: Progress
    beat_at: float | None = None  # monotonic
    ticks: int | None = None
    moved_at: float = 0.0  # monotonic: when progress last changed
    unsaved: bool = False  # progress has changed since it was last stored


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

    def departed(self, run: RunRef) -> None:
        """A run that ended here while no daemon was there: what it wrote may still be in the seat's files."""

    # The next three do nothing for a run that is not here (any more): the seat may have passed on to another.

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
