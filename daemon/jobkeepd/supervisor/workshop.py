"""What every job task works with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from msgspec import Struct

from jobkeepd.clock import Clock
from jobkeepd.core.ending import Policy
from jobkeepd.runner.base import Runner
from jobkeepd.runner.environment import cleaned
from jobkeepd.store.base import Store
from jobkeepd.supervisor.settings import JobSettings

EMPTY: Mapping[str, str] = {}


class Environments:
    """The submitters' environments that were used last, decoded, and rid of what no job inherits."""

    def __init__(self, store: Store, size: int = 64) -> None:
        self._store = store
        self._size = size
        self._known: OrderedDict[str, Mapping[str, str]] = OrderedDict()

    async def get(self, hash: str | None) -> Mapping[str, str]:
        if hash is None:
            return EMPTY
        known = self._known.get(hash)
        if known is None:
            known = self._known[hash] = cleaned(await self._store.environment(hash))
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(hash)
        return known


class Workshop(Struct, frozen=True):
    """The supervisor's tools. `cookie` draws a secret, `jitter` a number in [0, 1)."""

    store: Store
    runner: Runner
    clock: Clock
    settings: JobSettings
    environments: Environments
    cookie: Callable[[], str]
    jitter: Callable[[], float]
    default_python: str
    default_cwd: str

    def grace(self, wanted: float | None) -> float:
        return self.settings.grace if wanted is None else wanted

    def policy(self) -> Policy:
        return Policy(self.settings.on_lost, self.jitter())
