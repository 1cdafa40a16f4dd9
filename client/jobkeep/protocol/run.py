"""The interface org.jobkeep.Run: what the processes of a job's command say of their run, such as a shell script.

Which run they belong to is proven by what it was started with: JOBKEEP_JOB, JOBKEEP_RUN and JOBKEEP_COOKIE.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

from jobkeep.protocol.interface import Done, Interface, Method
from jobkeep.protocol.vocabulary import Count, Text
from jobkeep.protocol.worker import RunId

Cookie = Annotated[str, Meta(min_length=1, max_length=64)]


class ProgressParameters(Struct, forbid_unknown_fields=True):
    """`total` and `note` stay as they were where they are not given."""

    run: RunId
    cookie: Cookie
    done: Count
    total: Count | None = None
    note: Text | None = None


class LoadParameters(Struct, forbid_unknown_fields=True):
    run: RunId
    cookie: Cookie


class LoadReply(Struct):
    """`seq` is 0, and `state` null, where nothing was ever saved."""

    seq: int
    state: Raw


class SaveParameters(Struct, forbid_unknown_fields=True):
    """`state` is any JSON value of at most 64 KiB."""

    run: RunId
    cookie: Cookie
    state: Raw = Raw(b"null")


INTERFACE = Interface(
    "org.jobkeep.Run",
    "How the processes of a command report on their run, and let the next one go on where it was.",
    methods=(
        Method("Progress", ProgressParameters, Done, "How far the run is; durable with the next checkpoint or soon."),
        Method("LoadCheckpoint", LoadParameters, LoadReply, "What a run of the job has saved last."),
        Method("SaveCheckpoint", SaveParameters, Done, "Durable once answered."),
    ),
)
