"""The steps of queues as a whole."""

from __future__ import annotations

from typing import Any, Final

from jobkeepd.core.queueing import Control, Deed, obey
from jobkeepd.store.ledger import Ledger
from jobkeepd.store.queue_changes import ControlQueue

_KINDS: Final = {"pause": "queue_paused", "resume": "queue_resumed", "limit": "queue_limited"}


def control_queue(change: ControlQueue, ledger: Ledger) -> Control:
    before = ledger.control(change.queue) or Control(name=change.queue)
    after = obey(before, change.order, change.limit, Deed(change.by, change.at, change.reason))
    if after is before:
        return after
    ledger.put_control(after)
    data: dict[str, Any] = {"queue": change.queue}
    if change.order == "limit":
        data["limit"] = change.limit
    if change.reason is not None:
        data["reason"] = change.reason
    ledger.log(_KINDS[change.order], change.at, by=change.by, data=data)
    return after
