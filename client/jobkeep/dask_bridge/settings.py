"""What a bridge is told of its cluster; the daemon passes on `[dask.NAME]` as it is."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

import msgspec
from msgspec import Struct

VARIABLE: Final = "JOBKEEP_CLUSTER"


class Cluster(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where its scheduler is, by `address` or `scheduler_file`, and for how long it may be away. Seconds."""

    name: str
    address: str = ""
    scheduler_file: str = ""
    tls_ca_file: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    connect_timeout: float = 30.0
    lost_after: float = 60.0

    @property
    def place(self) -> str:
        """For people."""
        return f"dask:{self.name} at {self.address or self.scheduler_file}"

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Cluster:
        """From the environment, where nobody else needs to see it. Raises KeyError, ValidationError."""
        return msgspec.json.decode(environ.pop(VARIABLE), type=cls)
