"""The interface org.jobkeep.Worker: how a worker takes runs and reports on them.

A worker holds two connections: on one it calls Attach once and reads orders for ever; once it is welcome there, it
reports on the other.
Every report names (run, fence); one with an old fence is answered with StaleToken and its sender ends itself.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Raw, Struct

from jobkeep.protocol.interface import Done, Interface, Method
from jobkeep.protocol.jobs import ErrorInfo, FailedItem
from jobkeep.protocol.vocabulary import Count, Name, Text

# Worker and daemon may be of different releases, since a worker is run by its job's own interpreter. The worker begins
# with its newest version; a daemon that does not know it answers WrongProtocol, which names those that it knows.
# Attach, its welcome and WrongProtocol are the same in every version, so that this can be settled.
PROTOCOL: Final = 1  # the newest, and
OLDEST: Final = 1  # the oldest that both ends of this release can speak

RunId = Annotated[str, Meta(min_length=3, max_length=64, pattern=r"^[0-9a-z]+\.[0-9]+\Z")]  # JOB.NUMBER
Outcome = Literal["succeeded", "failed", "cancelled", "interrupted"]
# So begins the reason of an end that is `failed` without an error, when a bridge has proof that nobody will ever tell
# how the run has ended. (An outcome of its own would be refused by earlier daemons.)
LOST: Final = "lost: "


class AttachParameters(Struct, forbid_unknown_fields=True):
    """Who is there. `run` and `fence` name the run it still works on, or whose result it still holds."""

    worker: Annotated[str, Meta(min_length=1, max_length=64)]  # the name of its seat
    cookie: Annotated[str, Meta(min_length=1, max_length=64)]  # the secret it was started with
    pid: Count
    protocol: int
    run: RunId | None = None
    fence: Count = 0


class RunOrder(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of a function."""

    run: str
    fence: int
    function: str
    arguments: Raw
    job: str
    name: str
    number: int
    cookie: str
    stdout: str
    stderr: str
    cursor: Raw = Raw(b"null")  # of the checkpoint to continue from
    state: Raw = Raw(b"null")
    checkpoint_seq: int = 0
    tallies: dict[str, int] = {}
    done: int = 0
    total: int | None = None
    failed_items: int = 0  # how many are on record
    only_failed: bool = False  # run just those; fetch their keys with FailedKeys
    checkpoint_every: int = 5
    lock_token: int | None = None  # of the job's lock, if it has one
    traceparent: str | None = None
    tracestate: str | None = None
    steps: list[str] = []  # names of the steps whose results are stored, in order; fetch those with StepResult


class Order(Struct, frozen=True, omit_defaults=True):
    """welcome: you are known, report. run: start this one. stop: end the current one soon. retire: end once idle."""

    kind: Literal["welcome", "run", "stop", "retire"]
    run: RunOrder | None = None
    reason: str | None = None  # of a stop: cancelled | restart | drain | timeout
    target: str | None = None  # the run that a stop means


class BeatParameters(Struct, forbid_unknown_fields=True):
    """Sign of life, from a thread. `ticks` counts turns of the event loop; None when there is no loop."""

    run: RunId
    fence: Count
    ticks: Count | None = None


class ProgressParameters(Struct, forbid_unknown_fields=True):
    run: RunId
    fence: Count
    done: Count
    total: Count | None = None
    note: Text | None = None
    tallies: dict[str, Count] | None = None


class CheckpointParameters(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Cursor, state, tallies and items of one instant; committed together. The reply means: durable.

    `seq` rises by one per job; a seq that is already stored is answered as done. `tallies` are totals, not
    differences. `failed` are items to put on record, `resolved` keys ("BATCH KEY") to take off it.
    """

    run: RunId
    fence: Count
    seq: Annotated[int, Meta(ge=1)]
    cursor: Raw = Raw(b"null")
    state: Raw = Raw(b"null")
    done: Count = 0
    total: Count | None = None
    note: Text | None = None
    tallies: dict[str, Count] = {}
    failed: list[FailedItem] = []
    resolved: list[ItemKey] = []


class SaveStepParameters(Struct, forbid_unknown_fields=True, kw_only=True):
    """The result of the job's step of that ordinal, counted from 0; one that is stored already is answered as done."""

    run: RunId
    fence: Count
    ordinal: Count
    name: Name
    result: Raw


class ItemKey(Struct, frozen=True):
    batch: str
    key: str


class FinishParameters(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """How the run ended. `clean` is False when the worker must not be used again (threads or children left).

    `permanent`: the job itself says of its failure that to try again would not help.
    """

    run: RunId
    fence: Count
    outcome: Outcome
    result: Raw = Raw(b"null")
    error: ErrorInfo | None = None
    reason: Text | None = None
    permanent: bool = False
    clean: bool = True
    retire: bool = False  # it has served enough runs
    silent: bool = False  # the run has written nothing: both of its output files are empty, and nobody has them open


class FailedKeysParameters(Struct, forbid_unknown_fields=True):
    run: RunId
    fence: Count
    after: Count = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000


class FailedKeysReply(Struct):
    keys: list[ItemKey]


class StepResultParameters(Struct, forbid_unknown_fields=True):
    run: RunId
    fence: Count
    ordinal: Count


class StepResultReply(Struct):
    result: Raw


INTERFACE = Interface(
    "org.jobkeep.Worker",
    "How a worker takes runs of functions and reports on them. Not for general use.",
    methods=(
        Method("Attach", AttachParameters, Order, "Orders, for as long as the worker lives.", more=True),
        Method("Beat", BeatParameters, Done, "Sign of life."),
        Method("Progress", ProgressParameters, Done, "Progress between checkpoints; not durable."),
        Method("Checkpoint", CheckpointParameters, Done, "Durable once answered."),
        Method("SaveStep", SaveStepParameters, Done, "Durable once answered."),
        Method("Finish", FinishParameters, Done, "The run has ended. Durable once answered."),
        Method("FailedKeys", FailedKeysParameters, FailedKeysReply, "Keys of the job's failed items."),
        Method("StepResult", StepResultParameters, StepResultReply, "A stored result."),
    ),
)
