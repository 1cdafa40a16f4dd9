"""What can be set about workers and output."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Duration = Annotated[float, Meta(gt=0, le=366 * 86400.0)]


class WorkerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[workers]`"""

    idle_timeout: Duration = 300.0  # an idle worker ends after this long
    start_timeout: Duration = 30.0  # a worker that has not dialled by then is ended
