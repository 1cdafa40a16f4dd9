"""[access] as uids and gids: users and groups of this host, looked up at a start and at each reload."""

from __future__ import annotations

import grp
import pwd
import re
from collections.abc import Iterator
from typing import Final

import structlog
from msgspec import structs

from jobkeepd.core.authz import OVERFLOW, ROOT, Access, Role
from jobkeepd.core.quota import Quota
from jobkeepd.rpc.settings import AccessSettings

log = structlog.get_logger()

_MEMBER: Final = re.compile(r"(user|group):[A-Za-z0-9_][A-Za-z0-9_.@\\-]*\$?")
HOST_SOCKET: Final = "/run/jobkeep/socket"
_ROLES: Final = {
    "viewers": Role.VIEWER, "submitters": Role.SUBMITTER, "operators": Role.OPERATOR, "admins": Role.ADMIN
}  # fmt: skip
_OF_THE_HOST: Final = {"submitters": ["group:jobkeep"], "admins": ["group:jobkeep-admin"]}


def troubles(given: AccessSettings) -> Iterator[str]:
    """Members that are none, whatever accounts there are, and those whom nobody can be told from."""
    for key in _ROLES:
        wrong = [member for member in getattr(given, key) or () if not _MEMBER.fullmatch(member)]
        yield from (f"[access] {key}: {member!r} is neither user:NAME nor group:NAME" for member in wrong)
        anybody = [member for member in getattr(given, key) or () if member not in wrong and _is_anybody(member)]
        why = f"is never let in: whoever is of another user namespace has its number, {OVERFLOW}"
        yield from (f"[access] {key}: {member} {why}; give the program an account of its own" for member in anybody)


def _is_anybody(member: str) -> bool:
    kind, _, name = member.partition(":")
    return _number(kind, name) == OVERFLOW


def quota(given: AccessSettings) -> Quota:
    return Quota(
        connections=given.max_connections,
        message_rate=given.max_message_rate,
        queued=given.max_queued,
        log_bytes=given.max_log_bytes,
    )


def serves_host(socket: str, uid: int) -> bool:
    """Who listens where everybody looks serves the host. Never as root, whose daemon would run others' jobs as root."""
    return socket == HOST_SOCKET and uid != ROOT


def with_defaults(given: AccessSettings, socket: str, uid: int) -> AccessSettings:
    missing = _OF_THE_HOST if serves_host(socket, uid) else {}
    unsaid = [key for key in _ROLES if getattr(given, key) is None]
    return structs.replace(given, **{key: missing.get(key, []) for key in unsaid})


def resolve(given: AccessSettings, socket: str, uid: int) -> Access:
    """Names that are not known are told, and admit nobody: an account that is gone must not keep the daemon from
    starting. On the host's socket the daemon's own user, whom all jobs run as, has no role of its own.
    """
    users: dict[int, Role] = {} if serves_host(socket, uid) else {uid: Role.ADMIN}
    groups: dict[int, Role] = {}
    named: dict[Role, tuple[str, ...]] = {}
    for key, role in _ROLES.items():
        named[role] = tuple(getattr(given, key) or ())
        for member in named[role]:
            kind, _, name = member.partition(":")
            id = _number(kind, name)
            if id is None or id == OVERFLOW:
                why = "there is none of that name" if id is None else "it may be anybody"
                log.warning("access_ignored", role=role.word, member=member, why=why)
                continue
            found = users if kind == "user" else groups
            found[id] = max(found.get(id, Role.NOBODY), role)
    return Access(service=uid, users=users, groups=groups, named=named)


def _number(kind: str, name: str) -> int | None:
    """Its uid or gid."""
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        return None
