"""Which processes an emergency ends, whatever protects them."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobkeepd.core.emergency import turn_of
from jobkeepd.core.ownership import Fate, Finding, Role, Verdict
from jobkeepd.core.sight import Sight

UID = 1000
MINE = Sight(200, 2000, 1, UID)

findings = st.builds(
    Finding,
    sight=st.builds(
        Sight,
        pid=st.integers(1, 5),
        start_ticks=st.just(7),
        parent=st.integers(0, 5),
        uid=st.sampled_from([None, 0, UID, 1001]),
        keep=st.booleans(),
    ),
    verdict=st.sampled_from(get_args(Verdict)),
    fate=st.sampled_from(get_args(Fate)),
    reason=st.just(""),
    family=st.sampled_from([None, "browser"]),
    role=st.none(),
)


def finding(verdict: Verdict, fate: Fate, family: str | None = None, role: Role | None = None) -> Finding:
    return Finding(MINE, verdict, fate, "", family=family, role=role)


def test_what_is_ours_ends_though_a_run_or_a_session_protects_it() -> None:
    """And orphans as in any clean-up."""
    assert turn_of(finding("owned", "protect"), UID) == "first"
    assert turn_of(finding("owned", "leave"), UID) == "first"
    assert turn_of(finding("orphan", "end"), UID) == "first"


def test_who_sees_the_ends_of_others_ends_last_and_we_do_not() -> None:
    """Slots and spawners; the daemon that stands in is us."""
    assert turn_of(finding("owned", "protect", role="slot"), UID) == "last"
    assert turn_of(finding("owned", "protect", role="spawner"), UID) == "last"
    assert turn_of(finding("owned", "protect", role="daemon"), UID) is None


def test_a_configured_family_ends_by_its_name_alone() -> None:
    """Also with a parent of its own; a program that nobody has named does not."""
    assert turn_of(finding("foreign", "leave", "browser"), UID) == "first"
    assert turn_of(finding("unverifiable", "leave", "browser"), UID) == "first"
    assert turn_of(finding("foreign", "leave"), UID) is None
    assert turn_of(finding("unverifiable", "leave"), UID) is None


def test_whom_we_descend_from_is_left_whatever_it_is_called() -> None:
    """The shell that was typed into may be of a family."""
    assert turn_of(finding("foreign", "protect", "shell"), UID) is None


@given(findings)
def test_nobody_ends_that_is_not_our_user_s_or_wants_to_stay_or_is_process_1(found: Finding) -> None:
    """Whatever else is known."""
    sight = found.sight
    if sight.uid != UID or sight.keep or sight.pid == 1:
        assert turn_of(found, UID) is None


@given(findings)
def test_whatever_a_clean_up_ends_an_emergency_ends_too(found: Finding) -> None:
    """Of our own user's, and none that wants to stay."""
    ours = replace(found, sight=replace(found.sight, uid=UID, keep=False, pid=200), verdict="orphan", fate="end")
    assert turn_of(ours, UID) is not None
