"""What can be set about supervision. Durations are seconds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from jobkeep.protocol.vocabulary import OnLost

Duration = Annotated[float, Meta(gt=0, le=366 * 86400.0)]


class JobSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[jobs]`"""

    late_after: Duration = 30.0  # a function without a heartbeat for this long is shown as late
    grace: Duration = 10.0  # between asking a run to stop and making it
    on_lost: OnLost = "fail"  # what becomes of a run whose end nobody saw
    checkpoint_every: Annotated[int, Meta(ge=1, le=1_000_000)] = 5  # items, unless for_each says otherwise


class QueueSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[queues.NAME]`"""

    limit: Annotated[int, Meta(ge=1, le=10_000)]  # how many of its jobs run at once
