"""What can be set about workers and output."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Duration = Annotated[float, Meta(gt=0, le=366 * 86400.0)]


class DaskSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`[dask.NAME]`; paths are absolute."""

    address: str = ""  # of the scheduler, or
    scheduler_file: str = ""  # a file that names it
    tls_ca_file: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    connect_timeout: Duration = 30.0
    lost_after: Duration = 60.0  # without a sign of life a run there is lost after that, and has ended itself


class WorkerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[workers]`"""

    idle_timeout: Duration = 300.0  # an idle worker ends after this long
    start_timeout: Duration = 30.0  # a worker that has not dialled by then is ended
