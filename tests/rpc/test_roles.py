"""Roles at work: in dispatch, for each method, and on connections whose peer has lost his."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import msgspec
import pytest
from msgspec import Raw

from jobkeep.protocol.envelope import Call
from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.registry import INTERFACES
from jobkeepd.core.authz import NEEDS, Access, Role, verdict
from jobkeepd.core.model import Peer
from jobkeepd.core.quota import Quota
from jobkeepd.rpc.dispatch import Later, Opening, Pending
from jobkeepd.store.changes import NewJob, SubmitJobs
from rpc.conftest import WITHIN, Served, until

pytestmark = pytest.mark.anyio

SERVICE = 990
GIDS = {role: 100 + role for role in Role}  # of a group for each role
NAMED = {Role.OPERATOR: ("user:ann",), Role.ADMIN: ("group:a",)}
ACCESS = Access(SERVICE, {}, {gid: role for role, gid in GIDS.items() if role}, NAMED)
ANN, BOB = Peer(1001, 1001, 11), Peer(1002, 1002, 12)
J, S = "org.jobkeep.Jobs.", "org.jobkeep.Schedules."
EVERY = [(f"{name}.{method.name}", method.more) for name, each in INTERFACES.items() for method in each.methods]


@pytest.fixture
def roles(served: Served) -> Served:
    served.listener.admit(ACCESS, Quota())
    return served


async def ask(served: Served, peer: Peer, role: Role, method: str, more: bool = False, **given: Any) -> dict[str, Any]:
    """What dispatch answers to somebody with this role."""
    rights = served.dispatch.rights(peer, (GIDS[role],))
    call = Call(method=method, parameters=Raw(msgspec.json.encode(given)), more=more)
    answer = served.dispatch.answer(call, peer, rights)
    if isinstance(answer, Opening):
        return {}
    if isinstance(answer, Later):
        answer = served.dispatch.frame(await answer.latch.wait(), method)
    elif isinstance(answer, Pending):
        answer = await answer.reply
    reply: dict[str, Any] = msgspec.json.decode(answer[:-1])
    return reply


def refused(reply: dict[str, Any]) -> bool:
    return reply.get("error") == "org.jobkeep.Admin.NotPermitted"


async def test_dispatch_follows_the_table_for_every_method_and_role(roles: Served) -> None:
    """What is refused is refused before its parameters are read; what is not, is not."""
    for role in Role:
        for method, more in EVERY:
            if verdict(NEEDS[method], role, False) == "no":
                reply = await ask(roles, ANN, role, method, more, nonsense=True)
                assert refused(reply), (role, method)
                assert reply["parameters"]["role"] == role.word
            elif "message" in (said := (await ask(roles, ANN, role, method, more, nonsense=1)).get("parameters", {})):
                assert "nonsense" in said["message"], (role, method)


async def test_a_refusal_says_who_you_are_what_is_needed_and_who_has_it(roles: Served) -> None:
    """Also for methods that there are not: whoever has no role learns nothing of those."""
    said = (await ask(roles, ANN, Role.SUBMITTER, "org.jobkeep.Queues.Pause"))["parameters"]
    assert said["message"] == "user 1001 is a submitter here; org.jobkeep.Queues.Pause is for an operator"
    assert (said["uid"], said["role"], said["needed"]) == (1001, "submitter", "operator")
    assert said["hint"].startswith("such are root, user:ann, group:a; [access] operators")
    nobody = await ask(roles, ANN, Role.NOBODY, "org.example.Shop.Buy")
    assert refused(nobody)
    assert nobody["parameters"]["message"].startswith("user 1001 has no role here; ")
    worker = (await ask(roles, ANN, Role.ADMIN, "org.jobkeep.Worker.Beat"))["parameters"]
    assert worker["message"].endswith("org.jobkeep.Worker.Beat is for processes of jobs")


async def owned(served: Served, id: str, peer: Peer, **spec: Any) -> None:
    job = NewJob(id, JobSpec(command=["x"], **spec), None)
    await served.daemon.store.apply(SubmitJobs(jobs=(job,), by=peer, at=1.0))


@pytest.mark.parametrize("verb", ["Cancel", "Resume", "Restart", "Remove"])
async def test_a_submitter_acts_on_his_own_jobs_and_an_operator_on_all(roles: Served, verb: str) -> None:
    """Whether the job's state allows it is another question."""
    await owned(roles, "ann1", ANN)
    await owned(roles, "bob1", BOB)

    reply = await ask(roles, ANN, Role.SUBMITTER, J + verb, id="bob1")
    assert refused(reply)
    assert reply["parameters"]["message"] == "job bob1 is user 1002's, and user 1001 is no operator here"
    assert (await roles.daemon.store.get("bob1")).state == "queued"
    assert not refused(await ask(roles, ANN, Role.SUBMITTER, J + verb, id="ann"))
    assert not refused(await ask(roles, ANN, Role.OPERATOR, J + verb, id="bob1"))
    assert refused(await ask(roles, ANN, Role.VIEWER, J + verb, id="ann1"))


ACTIONS = {"cancel": "Cancel", "resume": "Resume", "restart": "Restart", "rm": "Remove"}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUBMITTER, Role.OPERATOR, Role.ADMIN])
async def test_a_job_is_shown_with_what_its_reader_may_do(roles: Served, role: Role) -> None:
    """For each role and action, on an own job and on another's: what is offered is not refused for the role's sake, and
    the other way round. Every reply that shows jobs says the same, whoever has asked before.
    """
    await owned(roles, "ann1", ANN)
    await owned(roles, "bob1", BOB)
    for id in ("ann1", "bob1"):
        await ask(roles, ANN, Role.ADMIN, J + "Get", id=id)  # what is kept of it is not for everybody
        shown = (await ask(roles, ANN, role, J + "Get", id=id))["parameters"]["job"]
        for other in (
            (await ask(roles, ANN, role, J + "Get", id=id, output=True))["parameters"]["job"],
            next(job for job in (await ask(roles, ANN, role, J + "List"))["parameters"]["jobs"] if job["id"] == id),
            (await ask(roles, ANN, role, J + "Explain", id=id))["parameters"],
        ):
            assert other["actions"] == shown["actions"]
        own = role is Role.SUBMITTER and id == "ann1"
        assert shown["actions"]["cancel"]["allowed"] is (own or role >= Role.OPERATOR)
        for action, method in ACTIONS.items():
            said, reply = shown["actions"][action], await ask(roles, ANN, role, J + method, id=id)
            assert refused(reply) is ("user 1001" in (said["reason"] or "")), (id, action)
            assert not (said["allowed"] and refused(reply))


async def test_all_that_match_are_a_submitters_own(roles: Served) -> None:
    """The others are refused one by one; of a dry run the same is said."""
    for id, peer in (("ann1", ANN), ("bob1", BOB), ("ann2", ANN)):
        await owned(roles, id, peer)
    for dry in (True, False):
        reply = await ask(roles, ANN, Role.SUBMITTER, J + "CancelMatching", all=True, dry_run=dry)
        said = reply["parameters"]
        assert sorted(said["ids"]) == ["ann1", "ann2"]
        assert [(each["count"], each["id"]) for each in said["refused"]] == [(1, "bob1")]
    assert (await roles.daemon.store.get("bob1")).state == "queued"
    rest = await ask(roles, ANN, Role.OPERATOR, J + "CancelMatching", all=True)
    assert rest["parameters"]["ids"] == ["bob1"]


@pytest.mark.parametrize("policy", ["replace_queued", "cancel_running"])
async def test_a_submit_replaces_no_other_users_job(roles: Served, policy: str) -> None:
    """Unless an operator submits; his own it does."""
    await owned(roles, "bob1", BOB, key="k")
    await owned(roles, "ann1", ANN, key="own")

    async def submit(role: Role, key: str) -> dict[str, Any]:
        return await ask(roles, ANN, role, J + "Submit", spec={"command": ["x"], "key": key}, on_conflict=policy)

    assert refused(await submit(Role.SUBMITTER, "k"))
    assert (await roles.daemon.store.get("bob1")).state == "queued"
    assert (await submit(Role.SUBMITTER, "own"))["parameters"]["created"]
    assert (await submit(Role.OPERATOR, "k"))["parameters"]["created"]
    assert (await roles.daemon.store.get("bob1")).state == "cancelled"


async def test_a_schedule_is_its_makers(roles: Served) -> None:
    """Others see it; only an operator changes, triggers or removes it."""
    made = {"name": "n", "cron": "0 2 * * *", "spec": {"command": ["x"]}}
    assert (await ask(roles, BOB, Role.SUBMITTER, S + "Add", **made))["parameters"]["schedule"]["name"] == "n"
    for role, may in ((Role.SUBMITTER, False), (Role.OPERATOR, True)):
        for method, given in (
            ("Pause", {}), ("Resume", {}), ("Trigger", {}), ("Add", {**made, "replace": True}), ("Remove", {}),
        ):  # fmt: skip
            assert refused(await ask(roles, ANN, role, S + method, **{"name": "n", **given})) is not may, method
    assert refused(await ask(roles, BOB, Role.VIEWER, S + "Add", **made))


async def test_status_tells_the_role_of_who_asks(roles: Served) -> None:
    """Of each."""
    for role in (Role.VIEWER, Role.SUBMITTER, Role.OPERATOR, Role.ADMIN):
        assert (await ask(roles, ANN, role, "org.jobkeep.Admin.Status"))["parameters"]["role"] == role.word


async def test_streams_and_waits_end_when_access_is_taken_away(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They say why; what the role that is left allows goes on."""
    monkeypatch.setattr("jobkeepd.rpc.listener.peer_of", lambda sock: ANN)
    monkeypatch.setattr("jobkeepd.rpc.listener.groups_of", lambda sock: (GIDS[Role.SUBMITTER],))
    served.listener.admit(ACCESS, Quota())
    await owned(served, "ann1", ANN)
    stream, wait, lock = [await served.client() for _ in range(3)]
    stream.ask(J + "Events", {"more": True}, follow=True, after=0)
    assert (await stream.reply())["parameters"]["event"]["kind"] == "submitted"
    stream.ask("org.jobkeep.Admin.Status")  # waits for its turn, which comes
    stream.ask(J + "Events", {"more": True}, follow=True)  # has not begun
    wait.ask(J + "Wait", ids=["ann1"])
    monkeypatch.setattr(served.daemon.locks, "acquire", lambda *_: anyio.sleep_forever())
    lock.ask("org.jobkeep.Locks.Acquire", name="l", lease="a" * 16, wait_s=60.0)
    lock.ask("org.jobkeep.Admin.Status")
    await until(lambda: served.daemon.jobs.waiting)

    served.listener.admit(Access(SERVICE, {ANN.uid: Role.VIEWER}), Quota())
    ended = await lock.reply()
    assert (refused(ended), ended["parameters"]["role"]) == (True, "viewer")
    assert (await lock.reply())["parameters"]["role"] == "submitter"  # as of its call
    served.listener.admit(Access(SERVICE), Quota())
    answers = [await stream.reply(), await stream.reply(), await stream.reply(), await wait.reply()]
    assert [refused(answer) for answer in answers] == [True, False, True, True]
    assert refused(await ask_again(stream))
    served.listener.admit(ACCESS, Quota())
    assert "parameters" in await ask_again(wait)


async def ask_again(client: Any) -> dict[str, Any]:
    client.ask("org.varlink.service.GetInfo")
    reply: dict[str, Any] = await client.reply()
    return reply


async def test_workers_of_the_service_user_stay_whatever_the_table_says(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have no role, and need none; and are not counted as strangers."""
    monkeypatch.setattr("jobkeepd.rpc.listener.peer_of", lambda sock: Peer(SERVICE, SERVICE, 5))
    monkeypatch.setattr("jobkeepd.rpc.listener.groups_of", lambda sock: ())
    served.listener.admit(Access(SERVICE), Quota())
    worker = await served.client()
    worker.ask("org.jobkeep.Worker.Attach", {"more": True}, worker="seat", cookie="c", pid=1, protocol=1)
    async with asyncio.timeout(WITHIN):
        await served.daemon.workers.came.wait()

    served.listener.admit(ACCESS, Quota())
    others = [await served.client() for _ in range(20)]
    for other in others:
        assert refused(await ask_again(other))
    assert not served.daemon.workers.attached[0].gone.is_set()
