"""What every job task works with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.clock import Clock
from jobkeepd.core.ending import Policy
from jobkeepd.core.liveness import Limits
from jobkeepd.core.model import Job, Moment
from jobkeepd.core.signalled import Signalled
from jobkeepd.draws import Draws
from jobkeepd.runner.base import Runner
from jobkeepd.runner.credentials import VARIABLE, Credentials
from jobkeepd.runner.environment import cleaned
from jobkeepd.runner.run_logs import RunLogs
from jobkeepd.runner.spool import Spool
from jobkeepd.runner.stragglers import Stragglers
from jobkeepd.store.base import Store
from jobkeepd.supervisor.audit import note_of
from jobkeepd.supervisor.settings import JobSettings, LockSettings, LogSettings, RecoverySettings, RetentionSettings


class Given(Struct, frozen=True):
    """What jobs get of what is never shown: the variables of submitters, secret ones on top, and secret arguments."""

    variables: Mapping[str, str] = {}
    arguments: Mapping[str, Any] = {}


NOTHING = Given()


class Environments:
    """The submitters' environments that were used last, decoded, and rid of what no job inherits; and secrets."""

    def __init__(self, store: Store, size: int = 64) -> None:
        self._store = store
        self._size = size
        self._known: OrderedDict[str, Given] = OrderedDict()

    async def get(self, hash: str | None) -> Given:
        if hash is None:
            return NOTHING
        known = self._known.get(hash)
        if known is None:
            kept = await self._store.environment(hash)
            known = self._known[hash] = Given({**cleaned(kept.environment), **kept.variables}, kept.arguments)
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(hash)
        return known


async def _discard_nothing(runs: Mapping[str, int]) -> tuple[str, ...]:
    """There is no output."""
    return tuple(runs)


async def _clear_nothing(before: float, needed: set[str]) -> None:
    """There are no files."""


class Workshop(Struct):
    """The supervisor's tools. `cookie` draws a secret, `jitter` a number in [0, 1).

    A reload of the configuration sets its settings and limits anew, and nobody else does.
    """

    store: Store
    runner: Runner
    clock: Clock
    settings: JobSettings
    environments: Environments
    spool: Spool
    stragglers: Stragglers
    cookie: Callable[[], str]
    jitter: Callable[[], float]
    default_python: str
    default_cwd: str
    boot_id: str
    credentials: Credentials = Credentials(None, "")
    locks: LockSettings = LockSettings()
    recovery: RecoverySettings = RecoverySettings()
    retention: RetentionSettings = RetentionSettings()
    new_id: Callable[[], str] = Draws().job_id
    discard: Callable[[Mapping[str, int]], Awaitable[tuple[str, ...]]] = _discard_nothing  # see Outputs.discard
    clear_old: Callable[[float, set[str]], Awaitable[None]] = _clear_nothing  # files of seats that are gone
    may_live: Callable[[str, str], bool] = lambda run, seat: True  # whether something may be left of a run of that seat
    most_waiting: Callable[[int], int | None] = lambda uid: None  # jobs of a user that have not been started
    run_logs: RunLogs | None = None  # None: there are no files
    logs: LogSettings = LogSettings()
    most_log_bytes: Callable[[int], int | None] | None = None  # of a user's runs that are under way
    label_limits: Mapping[str, int] = {}  # by label: how many runs of each value at once

    def audit(self, signalled: Signalled) -> None:
        """Put a signal on record."""
        self.store.send(note_of(signalled, self.clock.now()))

    async def given(self, job: Job, kept: str | None) -> Given:
        """What a run of the job gets beside its spec; `kept` as `environments` knows it."""
        found = await self.environments.get(kept)
        if not job.spec.credentials:
            return found
        return Given({**found.variables, VARIABLE: self.credentials.path(job.id)}, found.arguments)

    def moment(self) -> Moment:
        return Moment(self.boot_id, self.clock.monotonic())

    def grace(self, wanted: float | None) -> float:
        return self.settings.grace if wanted is None else wanted

    def limits(self, spec: JobSpec) -> Limits:
        """What is late and what is stalled, of such a job."""
        stall_after = self.settings.stall_after if spec.stall_after_s is None else spec.stall_after_s
        return Limits(self.settings.late_after, stall_after or None)

    def policy(self) -> Policy:
        return Policy(self.settings.on_lost, self.jitter())
