"""Who may do what: roles by uid and gid, and what each method of the wire needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Final, Literal

from msgspec import Struct

from jobkeep.protocol import vocabulary
from jobkeepd.core.model import Peer
from jobkeepd.errors import DaemonError

# Who is not mapped into our user namespace appears as this uid, and such a group as this gid: it could be anybody.
OVERFLOW: Final = 65534
ROOT: Final = 0


class Role(IntEnum):
    """Each may do what those before it may."""

    NOBODY = 0
    VIEWER = 1
    SUBMITTER = 2
    OPERATOR = 3
    ADMIN = 4

    @property
    def word(self) -> vocabulary.Role | None:
        return _WORDS[self]


_WORDS: Final[tuple[vocabulary.Role | None, ...]] = (None, "viewer", "submitter", "operator", "admin")
Own = Literal["job", "schedule", "handled"]
Verdict = Literal["yes", "own", "no"]


class Need(Struct, frozen=True):
    """What a method needs. Without a role: to be a process of a job, which proves itself by its cookie.

    `own`: a submitter may do it to what is his own. Whose it is is looked up before the job or schedule that is named
    is touched, or the handler sees to it (`handled`).
    """

    role: Role | None
    own: Own | None = None


class NotYours(DaemonError):
    """It is another user's, and only an operator may do it then."""

    def __init__(self, what: str, owner: int, uid: int) -> None:
        super().__init__(f"{what} is user {owner}'s, and user {uid} is no operator here")
        self.uid = uid


class Access(Struct, frozen=True):
    """Who has which role. `service` is the daemon's own uid; `named` is how it was written, for people."""

    service: int
    users: Mapping[int, Role] = {}
    groups: Mapping[int, Role] = {}
    named: Mapping[Role, tuple[str, ...]] = {}

    @property
    def admits_others(self) -> bool:
        """Anybody but root and the daemon's own user."""
        return bool(self.groups) or not self.users.keys() <= {ROOT, self.service}


def role_of(peer: Peer, groups: Iterable[int], access: Access) -> Role:
    """The highest that the user or one of the groups has. Root always administers."""
    if peer.uid == OVERFLOW:
        return Role.NOBODY
    if peer.uid == ROOT:
        return Role.ADMIN
    found = [access.users.get(peer.uid, Role.NOBODY)]
    found += [access.groups.get(gid, Role.NOBODY) for gid in (peer.gid, *groups) if gid != OVERFLOW]
    return max(found)


def is_process_of_jobs(peer: Peer, access: Access) -> bool:
    """Whether it may be: jobs run as the daemon's user, or have become root."""
    return peer.uid in (access.service, ROOT) and peer.uid != OVERFLOW


def verdict(need: Need, role: Role, of_jobs: bool) -> Verdict:
    if need.role is None:
        return "yes" if of_jobs else "no"
    if role >= need.role:
        return "yes"
    return "own" if need.own is not None and role >= Role.SUBMITTER else "no"


def hands_off(role: Role, uid: int, owner: int) -> str | None:
    """Why this user may not act on a job of `owner`, whatever its state; None: he may."""
    match verdict(_ACTING, role, of_jobs=False):
        case "yes":
            return None
        case "own":
            return None if uid == owner else f"the job is user {owner}'s, and user {uid} is no operator here"
        case "no":
            return f"user {uid} {standing(role)}, and only looks at jobs"


def standing(role: Role) -> str:
    """What somebody is, for a sentence about him: `is a viewer here`."""
    return "has no role here" if role.word is None else f"is {article(role.word)} here"


def article(word: str) -> str:
    return f"an {word}" if word[0] in "ao" else f"a {word}"


_ACTING: Final = Need(Role.OPERATOR, "job")  # a verb on one job


def _needs() -> Iterator[tuple[str, Need]]:
    look, submit = Need(Role.VIEWER), Need(Role.SUBMITTER)
    operate, administer, process = Need(Role.OPERATOR), Need(Role.ADMIN), Need(None)
    handled = Need(Role.OPERATOR, "handled")
    for interface, need, methods in (
        ("org.varlink.service", look, "GetInfo GetInterfaceDescription"),
        ("org.jobkeep.Jobs", look, "Get List Wait Result History FailedItems Logs Events Explain"),
        ("org.jobkeep.Jobs", submit, "SubmitMany"),
        ("org.jobkeep.Jobs", handled, "Submit"),  # it may replace jobs that have its key
        ("org.jobkeep.Jobs", handled, "CancelMatching ResumeMatching RestartMatching RemoveMatching"),
        ("org.jobkeep.Jobs", _ACTING, "Cancel Resume Restart Remove"),
        ("org.jobkeep.Locks", look, "List Show"),
        ("org.jobkeep.Locks", submit, "Acquire Renew Release GiveUp"),  # of the lease of the caller's own process
        ("org.jobkeep.Locks", operate, "Reset"),
        ("org.jobkeep.Queues", look, "List Show"),
        ("org.jobkeep.Queues", operate, "Pause Resume Limit"),
        ("org.jobkeep.Schedules", look, "List Show"),
        ("org.jobkeep.Schedules", Need(Role.OPERATOR, "schedule"), "Add Pause Resume Trigger Remove"),
        ("org.jobkeep.Sessions", look, "List"),
        ("org.jobkeep.Sessions", submit, "Open"),
        ("org.jobkeep.Sessions", operate, "Close"),
        ("org.jobkeep.Processes", look, "List"),
        ("org.jobkeep.Processes", operate, "Cleanup"),
        ("org.jobkeep.Run", process, "Progress LoadCheckpoint SaveCheckpoint"),
        ("org.jobkeep.Worker", process, "Attach Beat Progress Checkpoint SaveStep Finish FailedKeys StepResult"),
        ("org.jobkeep.Admin", look, "Status Metrics Sql"),
        ("org.jobkeep.Admin", operate, "Recover Drain Undrain Check"),
        ("org.jobkeep.Admin", administer, "Stop Reload Backup"),
    ):  # fmt: skip
        yield from ((f"{interface}.{method}", need) for method in methods.split())


NEEDS: Final[Mapping[str, Need]] = dict(_needs())
