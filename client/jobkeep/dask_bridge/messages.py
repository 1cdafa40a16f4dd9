"""What a bridge and its task on the cluster say to each other; pure."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.protocol.worker import (
    CheckpointParameters,
    FailedKeysParameters,
    Outcome,
    ProgressParameters,
    RunOrder,
    SaveStepParameters,
    StepResultParameters,
)
from jobkeep.worker.awaited import Kind


class Terms(Struct, frozen=True, kw_only=True):
    """How long each waits for the other. Seconds."""

    lease_s: float  # a task of which its bridge has not heard for so long ends itself
    beat_s: float
    attention_s: float  # for a function that looks at stop_reason, before it is cancelled
    fenced_s: float  # for a function without a lease, before its process ends regardless


PROTOCOL: Final = 2  # of what follows; bridge and task may be of different releases


class Spoken(Struct, frozen=True):
    """What all releases have in common of a parcel."""

    protocol: int


class Parcel(Spoken, frozen=True):
    """What a task is submitted with."""

    topic: str
    order: RunOrder
    terms: Terms


# From the task. `start` is its own: a scheduler may start a task again whose worker it has lost.


class Place(Struct, frozen=True):
    """Where a task is: the worker as its scheduler knows it, and where its host is asked whether the process lives."""

    worker: str
    port: int


class Begins(Struct, frozen=True, tag="begins"):
    """It is about to begin, and asks whether it may."""

    place: Place


class Lives(Struct, frozen=True, tag="lives"):
    """It has been let go, and goes on. `ticks` counts turns of its event loop; None: there is none."""

    place: Place
    ticks: int | None = None


class Advances(Struct, frozen=True, tag="advances"):
    parameters: ProgressParameters


class Checkpoints(Struct, frozen=True, tag="checkpoints"):
    parameters: CheckpointParameters


class Steps(Struct, frozen=True, tag="steps"):
    parameters: SaveStepParameters


class AsksKeys(Struct, frozen=True, tag="asks_keys"):
    number: int
    parameters: FailedKeysParameters


class AsksStep(Struct, frozen=True, tag="asks_step"):
    number: int
    parameters: StepResultParameters


class Writes(Struct, frozen=True, tag="writes"):
    """Output of the function; `to` is 1 or 2, as descriptors are."""

    to: Literal[1, 2]
    text: str


FromTask: TypeAlias = Begins | Lives | Advances | Checkpoints | Steps | AsksKeys | AsksStep | Writes


class Upward(Struct, frozen=True, array_like=True):
    """One message of the start of that id; each start counts its own from 1."""

    sender: str
    number: int
    said: FromTask


# From the bridge


class Go(Struct, frozen=True, tag="go"):
    """That start may begin, or go on, and no other one ever; said again and again. `heard`: its newest message so far.

    A scheduler keeps no more than the last thousand messages of a topic.
    """

    start: str
    heard: int = 1


class Stop(Struct, frozen=True, tag="stop"):
    reason: str


class Fence(Struct, frozen=True, tag="fence"):
    """The task has no right to go on."""


class Durable(Struct, frozen=True, tag="durable"):
    kind: Kind
    number: int


class Refuses(Struct, frozen=True, tag="refuses"):
    """The daemon does not take a checkpoint or a step."""

    kind: str
    message: str


class Answers(Struct, frozen=True, tag="answers"):
    number: int
    value: Raw = Raw(b"null")
    refused: Refuses | None = None


FromBridge: TypeAlias = Go | Stop | Fence | Durable | Refuses | Answers


class Downward(Struct, frozen=True, array_like=True):
    """One message of the bridge of that id; each bridge counts its own from 1."""

    sender: str
    number: int
    said: FromBridge


class Ended(Struct, frozen=True, kw_only=True):
    """What the task returns. `refused`: it was not allowed to begin; without a start it has not even asked."""

    start: str
    refused: bool = False
    outcome: Outcome = "succeeded"
    result: Raw = Raw(b"null")
    error: ErrorInfo | None = None
    reason: str | None = None
    permanent: bool = False


# A subscription and a look at the log go to the scheduler by different ways. Who hears its own mark is subscribed, and
# then looks: so that nothing falls in between.
MARK: Final = ""
MARK_AGAIN_S: Final = 0.05

encode: Final = msgspec.json.Encoder().encode
decode_upward: Final = msgspec.json.Decoder(Upward).decode
decode_downward: Final = msgspec.json.Decoder(Downward).decode
decode_ended: Final = msgspec.json.Decoder(Ended).decode
decode_parcel: Final = msgspec.json.Decoder(Parcel).decode
_decode_spoken: Final = msgspec.json.Decoder(Spoken).decode


def protocol_of(parcel: bytes) -> int:
    """Which it is of, whatever else is in it."""
    return _decode_spoken(parcel).protocol


def task_name(job: str, number: int) -> str:
    """What the task, its dataset and its topics are called."""
    return f"jobkeep-{job}-{number}"


def is_task_of(name: object, job: str) -> bool:
    return isinstance(name, str) and name.startswith(f"jobkeep-{job}-")


def number_of(name: str) -> int:
    """The run that a task was submitted for."""
    number = name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def upward(topic: str) -> str:
    return f"{topic}:up"


def downward(topic: str) -> str:
    return f"{topic}:down"
