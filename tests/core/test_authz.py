"""Roles: who has which, and every method of the wire for each of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobkeep import paths
from jobkeep.protocol.registry import INTERFACES
from jobkeepd import accounts
from jobkeepd.core.authz import NEEDS, OVERFLOW, Access, Role, Verdict, hands_off, is_process_of_jobs, role_of, verdict
from jobkeepd.core.model import Peer
from jobkeepd.rpc.settings import AccessSettings

SERVICE, GROUP, ADMINS = 990, 980, 981
HOST = Access(SERVICE, {}, {GROUP: Role.SUBMITTER, ADMINS: Role.ADMIN})
OWN = Access(1000, {1000: Role.ADMIN})

# What each method answers to nobody, viewer, submitter, operator and admin: - no, o to his own only, + yes.
ANSWERS = {
    "org.varlink.service": {"-++++": "GetInfo GetInterfaceDescription"},
    "org.jobkeep.Jobs": {
        "-++++": "Get List Wait Result History FailedItems Logs Events Explain",
        "--+++": "SubmitMany",
        "--o++": "Submit Cancel Resume Restart Remove CancelMatching ResumeMatching RestartMatching RemoveMatching",
    },
    "org.jobkeep.Locks": {"-++++": "List Show", "--+++": "Acquire Renew Release GiveUp", "---++": "Reset"},
    "org.jobkeep.Queues": {"-++++": "List Show", "---++": "Pause Resume Limit"},
    "org.jobkeep.Schedules": {"-++++": "List Show", "--o++": "Add Pause Resume Trigger Remove"},
    "org.jobkeep.Sessions": {"-++++": "List", "--+++": "Open", "---++": "Close"},
    "org.jobkeep.Processes": {"-++++": "List", "---++": "Cleanup"},
    "org.jobkeep.Run": {"-----": "Progress LoadCheckpoint SaveCheckpoint"},
    "org.jobkeep.Worker": {"-----": "Attach Beat Progress Checkpoint SaveStep Finish FailedKeys StepResult"},
    "org.jobkeep.Admin": {
        "-++++": "Status Metrics Sql",
        "---++": "Recover Drain Undrain Check",
        "----+": "Stop Reload Backup",
    },
}
SIGNS: dict[Verdict, str] = {"no": "-", "own": "o", "yes": "+"}
METHODS = sorted(f"{name}.{method.name}" for name, interface in INTERFACES.items() for method in interface.methods)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_says_for_each_role_who_may(method: str) -> None:
    """Of the interfaces as they are: a method that nobody has decided on fails here."""
    interface, _, name = method.rpartition(".")
    expected = [signs for signs, names in ANSWERS[interface].items() if name in names.split()]
    found = "".join(SIGNS[verdict(NEEDS[method], role, False)] for role in Role)

    assert [found] == expected
    of_jobs = verdict(NEEDS[method], Role.NOBODY, True)
    assert of_jobs == ("yes" if interface in ("org.jobkeep.Run", "org.jobkeep.Worker") else "no")


def test_the_table_has_no_other_method() -> None:
    """What is gone from the wire is gone from the table."""
    assert sorted(NEEDS) == METHODS


@pytest.mark.parametrize(
    ("peer", "groups", "access", "role"),
    [
        (Peer(0, 0, 1), (), OWN, Role.ADMIN),
        (Peer(0, 0, 1), (), HOST, Role.ADMIN),
        (Peer(1000, 1000, 1), (), OWN, Role.ADMIN),
        (Peer(1001, 1000, 1), (1000,), OWN, Role.NOBODY),
        (Peer(1001, 1001, 1), (GROUP,), HOST, Role.SUBMITTER),
        (Peer(1001, GROUP, 1), (), HOST, Role.SUBMITTER),
        (Peer(1001, 1001, 1), (ADMINS, GROUP), HOST, Role.ADMIN),
        (Peer(1001, 1001, 1), (7,), HOST, Role.NOBODY),
        (Peer(SERVICE, SERVICE, 1), (), HOST, Role.NOBODY),
        (Peer(OVERFLOW, GROUP, 1), (ADMINS,), HOST, Role.NOBODY),
        (Peer(OVERFLOW, 0, 1), (), Access(OVERFLOW, {OVERFLOW: Role.ADMIN}), Role.NOBODY),
        (Peer(1001, OVERFLOW, 1), (OVERFLOW,), Access(SERVICE, {}, {OVERFLOW: Role.ADMIN}), Role.NOBODY),
    ],
)
def test_a_role_comes_with_the_user_or_a_group(
    peer: Peer, groups: tuple[int, ...], access: Access, role: Role
) -> None:
    """The highest of them; root always administers, and whoever cannot be told from others is nobody."""
    assert role_of(peer, groups, access) is role


ids = st.integers(0, 6) | st.just(OVERFLOW)
roles = st.dictionaries(ids, st.sampled_from(Role))


@given(ids, ids, st.lists(ids), st.builds(Access, service=ids, users=roles, groups=roles))
def test_nobody_has_a_role_that_was_not_given(uid: int, gid: int, groups: list[int], access: Access) -> None:
    """To him, or to a group of his; and the overflow uid is not even a process of jobs."""
    role = role_of(Peer(uid, gid, 1), groups, access)
    given_to = {access.users.get(uid), *(access.groups.get(each) for each in (gid, *groups) if each != OVERFLOW)}

    assert role is Role.NOBODY or uid == 0 or role in given_to
    assert uid != OVERFLOW or (role is Role.NOBODY and not is_process_of_jobs(Peer(uid, gid, 1), access))


def test_only_on_the_socket_of_the_host_others_are_admitted_by_themselves() -> None:
    """And never by a daemon of root's, whose jobs would be root's."""
    assert accounts.HOST_SOCKET == paths.SYSTEM_SOCKET
    host = accounts.with_defaults(AccessSettings(), accounts.HOST_SOCKET, SERVICE)
    assert (host.submitters, host.admins) == (["group:jobkeep"], ["group:jobkeep-admin"])
    assert (host.viewers, host.operators) == ([], [])
    for socket, uid in ((accounts.HOST_SOCKET, 0), ("/run/user/1000/jobkeep/socket", 1000), ("/srv/socket", SERVICE)):
        assert accounts.with_defaults(AccessSettings(), socket, uid) == AccessSettings([], [], [], [])
    nobody = accounts.with_defaults(AccessSettings(submitters=[]), accounts.HOST_SOCKET, SERVICE)
    assert (nobody.submitters, nobody.admins) == ([], ["group:jobkeep-admin"])


def test_names_are_looked_up_and_unknown_ones_admit_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """They are told; numbers are taken as they are, and the overflow ids are refused by name, too."""
    given = AccessSettings(
        viewers=["user:nosuchuser", "user:5", "group:6"], submitters=["user:root", "user:nobody"],
        operators=["user:5", "group:nosuchgroup"], admins=[f"group:{OVERFLOW}"],
    )  # fmt: skip
    access = accounts.resolve(given, "/srv/socket", 1000)

    assert access.users == {1000: Role.ADMIN, 5: Role.OPERATOR, 0: Role.SUBMITTER}
    assert access.groups == {6: Role.VIEWER}
    assert capsys.readouterr().out.count("access_ignored") == 4
    assert 1000 not in accounts.resolve(given, accounts.HOST_SOCKET, 1000).users


@pytest.mark.parametrize(
    ("role", "on_his_own", "on_others"),
    [
        (Role.NOBODY, *["user 7 has no role here, and only looks at jobs"] * 2),
        (Role.VIEWER, *["user 7 is a viewer here, and only looks at jobs"] * 2),
        (Role.SUBMITTER, None, "the job is user 8's, and user 7 is no operator here"),
        (Role.OPERATOR, None, None),
        (Role.ADMIN, None, None),
    ],
)
def test_who_may_not_act_on_a_job_is_told_why(role: Role, on_his_own: str | None, on_others: str | None) -> None:
    """For every role, on a job of the user's own and on another's."""
    assert hands_off(role, 7, owner=7) == on_his_own
    assert hands_off(role, 7, owner=8) == on_others


def test_an_account_that_anybody_may_have_is_refused_in_the_configuration() -> None:
    """By name or by number; it would never be let in, and would be named to those who ask who may help."""
    given = AccessSettings(viewers=[f"user:{OVERFLOW}", "user:root", "user:nosuchuser"], admins=[f"group:{OVERFLOW}"])
    found = list(accounts.troubles(given))
    assert [each.partition(" is never let in")[0] for each in found] == [
        f"[access] viewers: user:{OVERFLOW}", f"[access] admins: group:{OVERFLOW}",
    ]  # fmt: skip
