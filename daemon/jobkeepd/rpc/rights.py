"""What one caller may do: the routes that are open to him, and how the others are refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from msgspec import Struct, structs

from jobkeep.protocol import faults
from jobkeepd.core.authz import NEEDS, Access, Need, NotYours, Role, article, standing, verdict
from jobkeepd.core.model import Peer
from jobkeepd.rpc.routes import Handler, Route
from jobkeepd.rpc.services import Services

# These tell who asks what he is, or what he may do with a job.
TOLD: Final = frozenset(
    {"org.jobkeep.Admin.Status", *(f"org.jobkeep.Jobs.{name}" for name in ("Get", "List", "Wait", "Explain"))}
)


class Rights(Struct, frozen=True):
    """`routes` are those that are open, some of them for what is the caller's own alone."""

    role: Role
    routes: Mapping[str, Route]
    privileged: bool  # no quota holds for those who administer, and for processes of jobs

    @property
    def any(self) -> bool:
        """Whether there is anything at all that he may do."""
        return bool(self.routes)


def rights_of(services: Services, routes: Mapping[str, Route], role: Role, of_jobs: bool) -> Rights:
    open_routes = {}
    for method, route in routes.items():
        need = NEEDS[method]
        may = verdict(need, role, of_jobs)
        if may == "own":
            open_routes[method] = structs.replace(route, handle=_confined(services, need, route.handle))
        elif may == "yes":
            open_routes[method] = route
    for method in TOLD & open_routes.keys():
        route = open_routes[method]
        open_routes[method] = structs.replace(route, handle=partial(route.handle, role=role))
    return Rights(role, open_routes, privileged=of_jobs or role is Role.ADMIN)


def _confined(services: Services, need: Need, handle: Handler) -> Handler:
    if need.own == "job":
        return partial(_to_own_job, services, handle)
    if need.own == "schedule":
        return partial(_to_own_schedule, services, handle)
    return partial(handle, own=True)


async def _to_own_job(services: Services, handle: Handler, asked: Any, peer: Peer) -> Any:
    """By its full id from here on: what a prefix names may change."""
    job = await services.store.get(asked.id)
    if job.owner != peer.uid:
        raise NotYours(f"job {job.id}", job.owner, peer.uid)
    return await handle(structs.replace(asked, id=job.id), peer)


def _to_own_schedule(services: Services, handle: Handler, asked: Any, peer: Peer) -> Any:
    for schedule in services.schedules.all():
        if schedule.name == asked.name and schedule.terms.owner.uid != peer.uid:
            raise NotYours(f"schedule {schedule.name}", schedule.terms.owner.uid, peer.uid)
    return handle(asked, peer)


def refusal(method: str, peer: Peer, role: Role, access: Access) -> faults.NotPermitted:
    """Who asks, what is needed, and who can help."""
    now = standing(role)
    needed = _least(NEEDS.get(method))
    if needed is None or needed.word is None:
        said = f"user {peer.uid} {now}; {method} is for processes of jobs"
        return faults.NotPermitted(said, peer.uid, role=role.word)
    who = ["root", *(name for higher in Role if higher >= needed for name in access.named.get(higher, ()))]
    return faults.NotPermitted(
        f"user {peer.uid} {now}; {method} is for {article(needed.word)}",
        peer.uid,
        role=role.word,
        needed=needed.word,
        hint=f"such are {', '.join(who)}; [access] {needed.word}s in the daemon's configuration names more",
    )


def _least(need: Need | None) -> Role | None:
    """The lowest role with which it can be done at all. None: no role will do."""
    if need is None:  # there is no such method: to be told so, one has to have some role
        return Role.VIEWER
    return Role.SUBMITTER if need.own is not None else need.role
