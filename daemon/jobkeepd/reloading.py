"""What of a configuration can change while the daemon runs, and how it does. A mistake in it changes nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog
from msgspec import Struct, structs

from jobkeep.protocol.admin import Change, ReloadReply
from jobkeepd import accounts, assembly, logs
from jobkeepd.config import NAMED, Config
from jobkeepd.core.authz import Access
from jobkeepd.core.quota import Quota
from jobkeepd.errors import BadConfig
from jobkeepd.runner.surroundings import Surroundings
from jobkeepd.supervisor.cleanup import Cleanup
from jobkeepd.supervisor.settings import QueueSettings
from jobkeepd.supervisor.supervisor import Supervisor
from jobkeepd.supervisor.workshop import Workshop
from jobkeepd.values import flat

log = structlog.get_logger()

# Every key is in one of the two: which one is for each new key to be decided. Sections of tables: of each of them.
RELOADABLE: Final[Mapping[str, frozenset[str]]] = {
    section: frozenset(keys.split())
    for section, keys in {
        "daemon": "log_level log_format on_stop drain_timeout",
        "access": "viewers submitters operators admins max_connections max_message_rate max_queued max_log_bytes",
        "jobs": "heartbeat_interval heartbeat_log_interval late_after stall_after on_stall grace on_lost "
        "checkpoint_every",
        "locks": "max_hold on_max_hold",
        "recovery": "interval older_than",
        "logs": "max_bytes keep",
        "retention": "keep_for keep_count keep_events interval",
        "cleanup": "interval schedule look_interval orphaned_for grace",
        "workers": "idle_timeout start_timeout",
        "queues": "limit ageing fair keep_for keep_count",
        "dask": "address scheduler_file tls_ca_file tls_cert tls_key connect_timeout lost_after",
        "families": "match child_of max_processes",
        "limits": "max_running",
        "schedules": "cron timezone missed on_conflict command function arguments queue labels key lock priority "
        "timeout queue_timeout stall_after on_stall on_lost retries backoff grace cwd python "
        "nice memory cpu nofile env secrets credentials",
    }.items()
}
NEEDS_RESTART: Final[Mapping[str, frozenset[str]]] = {
    section: frozenset(keys.split())
    for section, keys in {
        "daemon": "socket state_dir runtime_dir",
        "locks": "ttl",  # leases that were given out are renewed by it
        "sessions": "command health ready health_timeout start_timeout max_age grace cwd env info",
    }.items()
}


class Parts(Struct, frozen=True):
    """Of a daemon that runs: what a configuration is applied to."""

    workshop: Workshop
    surroundings: Surroundings
    supervisor: Supervisor
    cleanup: Cleanup
    admit: Callable[[Access, Quota], None]


class Reloader:
    """`read` reads what is configured by now; `keep` is told what counts from then on."""

    def __init__(
        self, config: Config, read: Callable[[], Config], keep: Callable[[Config], None], parts: Parts
    ) -> None:
        self._config = config
        self._read = read
        self._keep = keep
        self._parts = parts

    def reload(self) -> ReloadReply:
        """In one turn of the event loop: nobody sees half of it."""
        try:
            wanted = self._read()
        except BadConfig as error:
            log.error("reload_refused", problems=error.problems, hint="the old configuration stays")
            return ReloadReply([], [], problems=error.problems)
        changed, restart = differences(self._config, wanted)
        if changed:
            self._config = merged(self._config, wanted)
            apply(self._config, self._parts)
            self._keep(self._config)
        access = assembly.access(self._config)  # anew: accounts may have changed, too
        self._parts.workshop.most_waiting = assembly.most_waiting(self._config, access)
        self._parts.workshop.most_log_bytes = assembly.most_log_bytes(self._config, access)
        self._parts.admit(access, accounts.quota(self._config.access))
        keys = {"changed": [each.key for each in changed], "needs_restart": [each.key for each in restart]}
        log.info("reloaded", **keys)
        return ReloadReply(changed, restart)


def differences(before: Config, after: Config) -> tuple[list[Change], list[Change]]:
    """What a reload changes, and what it cannot."""
    old, new = dict(flat(before, hide=False)), dict(flat(after, hide=False))
    shown_old, shown_new = dict(flat(before)), dict(flat(after))
    changed: list[Change] = []
    restart: list[Change] = []
    for place in dict.fromkeys([*old, *new]):
        if old.get(place) != new.get(place):
            difference = Change(".".join(place), shown_old.get(place), shown_new.get(place))
            (changed if can_reload(place[0], place[-1]) else restart).append(difference)
    return changed, restart


def can_reload(section: str, key: str) -> bool:
    return key in RELOADABLE.get(section, ())


def merged(before: Config, after: Config) -> Config:
    """What counts: of `after` all that can be reloaded."""
    sections = {}
    for section in structs.fields(Config):
        old, new = getattr(before, section.name), getattr(after, section.name)
        if section.name in NAMED:
            sections[section.name] = new if section.name in RELOADABLE else old
        else:
            keys = RELOADABLE[section.name]
            sections[section.name] = structs.replace(old, **{key: getattr(new, key) for key in keys})
    return Config(**sections)


def apply(config: Config, parts: Parts) -> None:
    """Loops that sleep see it when they wake; runs that are under way keep what they were started with."""
    logs.configure(config.daemon.log_level, config.daemon.log_format)
    workshop, surroundings, supervisor = parts.workshop, parts.surroundings, parts.supervisor
    workshop.settings = config.jobs
    workshop.locks = supervisor.locks.leases.settings = config.locks
    workshop.recovery = supervisor.recovery.settings = config.recovery
    workshop.retention = config.retention
    workshop.logs = config.logs
    workshop.label_limits = assembly.label_limits(config)
    surroundings.grace = config.jobs.grace
    surroundings.heartbeat = config.jobs.heartbeat_interval
    surroundings.checkpoint_every = config.jobs.checkpoint_every
    surroundings.settings = config.workers
    surroundings.clusters = config.dask
    parts.cleanup.configure(config.cleanup, assembly.families(config))
    _configure_queues(supervisor, assembly.queues(config))
    supervisor.schedules.configure(assembly.schedules(config, surroundings.secret))


def _configure_queues(supervisor: Supervisor, queues: Mapping[str, QueueSettings]) -> None:
    rules = supervisor.rules  # in the hands of others, also in the store's thread: never empty in between
    rules.update({name: queue.rule for name, queue in queues.items()})
    for name in rules.keys() - queues.keys():
        del rules[name]
    supervisor.retention.queues = queues
    dispatcher = supervisor.dispatcher
    for name, queue in queues.items():
        dispatcher.keep_lane(name, queue.limit)
    for name, lane in dispatcher.lanes.items():
        before = lane.limit
        lane.configured = queues[name].limit if name in queues else 1  # what has jobs and is no more goes one by one
        if lane.limit != before:  # claims that wait behind a seat: there may be one of their own by now
            dispatcher.hold(name)
    dispatcher.poke()
    supervisor.queues.configure(tuple(queues))
    supervisor.due.limits_changed()
