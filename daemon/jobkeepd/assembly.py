"""Parts of the daemon, put together as the configuration has them. Which concrete ones there are main chooses."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from jobkeepd import accounts, instance
from jobkeepd.checks import family_of, job_of
from jobkeepd.clock import Clock
from jobkeepd.config import Config
from jobkeepd.core.authz import Access
from jobkeepd.core.families import Families
from jobkeepd.core.firing import Terms
from jobkeepd.core.model import Peer
from jobkeepd.core.schedule import in_fields
from jobkeepd.core.secrets import Kept, encoded, parted
from jobkeepd.core.sessions import QUEUE as SESSIONS
from jobkeepd.runner.base import Probing, Processes, SlotSource
from jobkeepd.runner.environment import Directories, cleaned
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.stragglers import Stragglers
from jobkeepd.runner.surroundings import Surroundings
from jobkeepd.supervisor.audit import Audit
from jobkeepd.supervisor.feed import Feed
from jobkeepd.supervisor.schedules import Configured
from jobkeepd.supervisor.session_ports import Jobs, Orphans, SessionTools
from jobkeepd.supervisor.settings import QueueSettings

MOST_SESSIONS = 1000  # that run at once; there is one of each name at most
# What jobs of configured schedules have of the daemon's environment: it may have been started from anywhere.
LASTING = ("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TZ", "USER")


def queues(config: Config) -> dict[str, QueueSettings]:
    """Those of the configuration, and that of the sessions where there are any."""
    return {**config.queues, SESSIONS: QueueSettings(limit=MOST_SESSIONS)} if config.sessions else config.queues


def label_limits(config: Config) -> dict[str, int]:
    return {label: limit.max_running for label, limit in config.limits.items()}


def access(config: Config) -> Access:
    return accounts.resolve(config.access, config.daemon.socket, os.getuid())


def most_waiting(config: Config, access: Access) -> Callable[[int], int | None]:
    quota = accounts.quota(config.access)
    return lambda uid: quota.queued_of(uid, access)


def most_log_bytes(config: Config, access: Access) -> Callable[[int], int | None] | None:
    """None where nobody has a limit."""
    quota = accounts.quota(config.access)
    return (lambda uid: quota.log_bytes_of(uid, access)) if quota.log_bytes else None


def families(config: Config) -> Families:
    return Families([family_of(name, given) for name, given in config.families.items()])


def surroundings(
    config: Config, clock: Clock, slots: SlotSource, audit: Audit, state: Path, runtime: Path
) -> Surroundings:
    directories = Directories(
        socket=config.daemon.socket, spool=str(state / "spool"), state=str(state), runtime=str(runtime)
    )
    outputs = Outputs(str(state / "logs"))
    outputs.prepare()
    return Surroundings(
        directories=directories,
        outputs=outputs,
        clock=clock,
        forget=slots.forget,
        secret=instance.secret(state),
        grace=config.jobs.grace,
        checkpoint_every=config.jobs.checkpoint_every,
        settings=config.workers,
        clusters=config.dask,
        stragglers=Stragglers(audit),
        audit=audit,
        heartbeat=config.jobs.heartbeat_interval,
    )


def session_tools(
    jobs: Jobs, probes: Probing, orphans: Orphans, processes: Processes, feed: Feed, new_id: Callable[[], str]
) -> SessionTools:
    """Sessions have the daemon's own environment, and belong to the daemon."""
    base = cleaned(os.environ)
    return SessionTools(
        jobs=jobs,
        probes=probes,
        orphans=orphans,
        processes=processes,
        feed=feed,
        owner=_ourselves(),
        base=base,
        environment=_stored(base),
        new_id=new_id,
    )


def schedules(config: Config, secret: bytes) -> Configured:
    """Those of the configuration; their jobs belong to the daemon's user. `secret` is the state directory's."""
    by = _ourselves()
    lasting = {name: os.environ[name] for name in LASTING if name in os.environ}
    terms: dict[str, Terms] = {}
    environments: dict[str, bytes] = {}
    for name, given in config.schedules.items():
        spec, kept = parted(job_of(given), lasting)
        environment, data = _named(kept or Kept(), secret)
        environments[environment] = data
        terms[name] = Terms(
            cron=in_fields(given.cron),
            timezone=given.timezone,
            spec=spec,
            environment=environment,
            owner=by,
            missed=given.missed,
            on_conflict=given.on_conflict,
            configured=True,
        )
    return Configured(by, terms, tuple(environments.items()))


def _named(kept: Kept, secret: bytes) -> tuple[str, bytes]:
    """A name that is the same with each start, so that nothing has changed then; with secrets nobody else can tell it
    of values that are guessed."""
    if not kept.has_secrets:
        return _stored(kept.environment)
    data = encoded(kept)
    return hmac.digest(secret, data, "sha256").hex(), data


def _ourselves() -> Peer:
    return Peer(os.getuid(), os.getgid(), os.getpid())


def _stored(environment: dict[str, str]) -> tuple[str, bytes]:
    """Its hash and its encoding."""
    data = encoded(Kept(environment))
    return sha256(data).hexdigest(), data
