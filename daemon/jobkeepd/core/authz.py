"""Who may talk to the daemon: pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from jobkeepd.core.model import Peer

# Who is not mapped into our user namespace appears as this uid: it could be anybody.
OVERFLOW_UID: Final = 65534


def authorise(peer: Peer, allowed_uids: Collection[int]) -> bool:
    return peer.uid != OVERFLOW_UID and peer.uid in allowed_uids
