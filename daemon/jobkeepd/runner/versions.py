"""Which versions of the inner protocols this daemon deals with, and how far.

| peer    | version       | what becomes of it                                                                       |
|---------|---------------|------------------------------------------------------------------------------------------|
| spawner | ours          | makes slots                                                                              |
| spawner | any other     | makes way for one of ours, and stays for the slots it has                                |
| slot    | ours          | takes run after run                                                                      |
| slot    | any other     | its run is followed, signalled, ended, its exit recorded; it takes no other, and retires |
| worker  | that we speak | takes run after run; an older one that was adopted retires after its run                 |
| worker  | any other     | is told what we speak; a run it has goes on, and its end is taken from the spool         |

What a slot or a spawner says of a run, and what makes it signal, end or retire, has the same form in all versions:
tests/compat keeps transcripts of each. Nothing that runs is ever ended for its version.
"""

from __future__ import annotations

from typing import Final

from jobkeep.protocol import worker
from jobkeepd.errors import WrongProtocol
from jobkeepd.spawner import record

SLOTS: Final = range(record.PROTOCOL, record.PROTOCOL + 1)  # and spawners: through which new runs are started
WORKERS: Final = range(worker.OLDEST, worker.PROTOCOL + 1)


def refusal(protocol: int) -> WrongProtocol | None:
    """Why a worker of that version cannot be talked to."""
    return None if protocol in WORKERS else WrongProtocol(protocol, WORKERS[0], WORKERS[-1])
