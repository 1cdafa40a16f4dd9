"""Whose a process is: examples by name, and what holds for every host that can be made up."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobkeepd.core.families import Families, Family
from jobkeepd.core.ownership import Finding, Ownership
from jobkeepd.core.sight import Claim, Known, Mark, Sight

STRONG = {"slot", "cookie", "record", "seen", "cgroup", "session", "descent"}  # each of which is a proof
ME, OTHER = 1000, 1001
NOW, LONG_AGO = 10_000.0, 1000.0
DAEMON, SPAWNER, SLOT = 100, 101, 102
LIVE, ENDED, STRANGE = Mark("c-live", "a", 2), Mark("c-ended", "a", 1), Mark("c-of-another-daemon", "a", 2)
FAMILIES = Families([Family("driver", ["driver*"]), Family("browser", ["browser"], "driver")])


def process(pid: int, parent: int = 1, name: str = "sleep", **more: Any) -> Sight:
    given: dict[str, Any] = {"start_ticks": pid * 10, "uid": ME, "born": LONG_AGO, "command": name, **more}
    return Sight(pid=pid, parent=parent, names=(name,), **given)


HOST = (process(1, 0, "init"), process(50, 1, "shell"), process(DAEMON, 50, "jobkeepd"), process(SPAWNER, DAEMON),
        process(SLOT, SPAWNER))  # fmt: skip


def known(**more: Any) -> Known:
    given: dict[str, Any] = {
        "uid": ME, "now": NOW, "daemon": DAEMON, "spawners": frozenset({SPAWNER}), "slots": {SLOT: "a.2"},
        "claims": {LIVE: Claim("a.2", True), ENDED: Claim("a.1", False)}, "families": FAMILIES, **more,
    }  # fmt: skip
    return Known(**given)


def judged(*processes: Sight, **more: Any) -> Finding:
    """Of the last one."""
    sights = {sight.pid: sight for sight in (*HOST, *processes)}
    return Ownership(sights, known(**more)).judge(processes[-1].pid)


def said(finding: Finding) -> tuple[str, str, str | None]:
    return finding.verdict, finding.fate, finding.run


def test_what_is_beneath_a_live_slot_is_its_runs() -> None:
    """Without a cookie, and however deep."""
    found = judged(process(200, SLOT), process(201, 200, "browser"))
    assert (*said(found), found.evidence) == ("owned", "protect", "a.2", ("slot",))


def test_a_cookie_protects_where_the_slot_is_gone() -> None:
    """What descends from such a process as well."""
    assert said(judged(process(200, mark=LIVE))) == ("owned", "protect", "a.2")
    assert judged(process(200, mark=LIVE), process(201, 200)).evidence == ("descent",)


def test_what_an_ended_run_has_left_is_an_orphan() -> None:
    """By its cookie, by what was seen of it before, and by its descent."""
    found = judged(process(200, mark=ENDED))
    assert (*said(found), found.evidence) == ("orphan", "end", "a.1", ("cookie",))
    assert said(judged(process(200, mark=ENDED), process(201, 200))) == ("orphan", "end", "a.1")
    seen = judged(process(200), seen={(200, 2000): Claim("a.1", False)})
    assert (*said(seen), seen.evidence) == ("orphan", "end", "a.1", ("seen",))


def test_another_process_with_the_pid_of_one_that_was_seen_is_foreign() -> None:
    """A pid alone is nobody's identity."""
    assert judged(process(200), seen={(200, 1999): Claim("a.1", False)}).verdict == "foreign"


def test_a_live_run_protects_what_an_ended_one_left_beneath_it() -> None:
    """Protection beats all that speaks against a process."""
    assert judged(process(200, SLOT), process(201, 200, mark=ENDED)).fate == "protect"


def test_a_session_in_use_protects_what_is_beneath_it() -> None:
    """Whatever it is called, and whosever it was before."""
    found = judged(process(200, mark=ENDED), process(201, 200, "browser"), protected={(200, 2000): "session web"})
    assert (found.verdict, found.fate, found.evidence) == ("owned", "protect", ("session",))


def test_who_wants_to_stay_is_left() -> None:
    """As build servers do; what they start without their environment stays with them."""
    found = judged(process(200, mark=ENDED, keep=True), process(201, 200))
    assert (found.verdict, found.fate) == ("orphan", "leave")


def test_another_daemons_process_is_not_ours() -> None:
    """Its cookie is of no run that we have on record."""
    assert said(judged(process(200, mark=STRANGE))) == ("unverifiable", "leave", None)


def test_an_environment_that_is_not_shown_proves_nothing() -> None:
    """Neither that it is ours nor that it is not."""
    assert judged(process(200, readable=False)).verdict == "unverifiable"


def test_a_name_alone_never_ends_a_process() -> None:
    """It may be anybody's: it has a parent that lives."""
    found = judged(process(200, 50, "driver"))
    assert (found.verdict, found.fate, found.family) == ("foreign", "leave", "driver")


def test_a_member_of_a_family_that_was_orphaned_long_enough_is_ended() -> None:
    """All of its name, its lost parent, its user and the time together."""
    found = judged(process(200, 1, "driver"))
    assert (found.verdict, found.fate, found.evidence) == ("orphan", "end", ("name", "orphaned", "uid"))
    assert judged(process(200, 1, "driver", born=NOW - 9)).fate == "leave"
    assert judged(process(200, 1, "driver"), parented={(200, 2000): NOW - 9}).fate == "leave"
    assert judged(process(200, 1, "driver", uid=OTHER)).fate == "leave"


def test_a_service_of_its_own_is_no_orphan() -> None:
    """systemd is its parent from the start; in our own service it is one."""
    service = "/system.slice/web.service"
    assert judged(process(200, 1, "driver", cgroup=service)).fate == "leave"
    assert judged(process(200, 1, "driver", cgroup=service), cgroup=service).fate == "end"


def test_the_children_of_an_orphaned_driver_go_with_it() -> None:
    """Those of a driver with a parent stay."""
    found = judged(process(200, 1, "driver9"), process(201, 200), process(202, 201, "browser"))
    assert (found.fate, found.evidence) == ("end", ("name", "driver", "uid"))
    assert judged(process(200, 50, "driver9"), process(202, 200, "browser")).fate == "leave"


def test_a_child_whose_driver_nobody_has_seen_is_left() -> None:
    """It may be somebody's own browser; that it was seen beneath a driver, or its arguments, tell."""
    assert judged(process(200, 1, "browser")).fate == "leave"
    assert judged(process(200, 1, "browser"), driven=frozenset({(200, 2000)})).fate == "end"
    families = Families([Family("browser", ["args:--user-data-dir=/tmp/"], "driver"), Family("driver", ["driver"])])
    assert judged(process(200, 1, "web", command="web --user-data-dir=/tmp/x"), families=families).fate == "end"


def test_our_own_and_those_above_us_are_never_touched() -> None:
    """Whatever anybody has against them."""
    guilty = {sight.pid: replace(sight, mark=ENDED, names=("driver",)) for sight in HOST}
    ownership = Ownership(guilty, known())
    assert {pid: ownership.judge(pid).fate for pid in guilty} == dict.fromkeys(guilty, "protect")


def test_what_a_spawner_has_inherited_is_left_to_it() -> None:
    """It knows which run the child is of, and ends it itself."""
    assert said(judged(process(200, SPAWNER))) == ("owned", "leave", None)


# -- any host ---------------------------------------------------------------------------------------------------------

PIDS = range(103, 115)
SIGHTS = st.builds(
    process,
    st.sampled_from(PIDS),
    st.sampled_from([0, 1, 50, DAEMON, SPAWNER, SLOT, 999, *PIDS]),
    st.sampled_from(["driver", "browser", "systemd", "sleep"]),
    uid=st.sampled_from([ME, ME, OTHER, None]),
    mark=st.sampled_from([None, None, LIVE, ENDED, STRANGE]),
    keep=st.sampled_from([False, False, True]),
    born=st.sampled_from([LONG_AGO, NOW - 0.5, NOW - 5]),
    cgroup=st.sampled_from(["", "/x.service", "/slots/s1"]),
    readable=st.booleans(),
)
KEYS = st.sampled_from([(pid, pid * 10) for pid in PIDS])
CLAIMS = st.sampled_from([Claim("a.2", True), Claim("a.1", False)])
WORLDS = st.fixed_dictionaries(
    {
        "recorded": st.dictionaries(KEYS, CLAIMS, max_size=1),
        "seen": st.dictionaries(KEYS, CLAIMS, max_size=2),
        "protected": st.dictionaries(KEYS, st.just("session web"), max_size=1),
        "driven": st.frozensets(KEYS, max_size=2),
        "parented": st.dictionaries(KEYS, st.sampled_from([LONG_AGO, NOW - 5]), max_size=2),
        "members": st.dictionaries(st.sampled_from(PIDS), CLAIMS, max_size=2),
        "slots": st.sampled_from([{SLOT: "a.2"}, {SLOT: None}, {}]),
    }
)


@given(st.lists(SIGHTS, max_size=12), WORLDS)
def test_nothing_is_ended_without_proof_or_against_protection(processes: list[Sight], world: dict[str, Any]) -> None:
    """On any host, loops of a look that took too long included."""
    sights = {sight.pid: sight for sight in (*HOST, *processes)}
    told = known(**world)
    ownership = Ownership(sights, told)
    for pid, sight in sights.items():
        found = ownership.judge(pid)
        if found.fate != "end":
            continue
        lineage = list(ownership.lineage(pid))
        assert sight.uid == ME
        assert pid not in {1, 50, DAEMON, SPAWNER, *told.slots}
        assert not any(each.pid in told.slots or each.key in told.protected or each.keep for each in lineage)
        assert not any(each.mark == LIVE or told.seen.get(each.key) == Claim("a.2", True) for each in lineage)
        assert not any(told.members.get(each.pid) == Claim("a.2", True) for each in lineage)
        assert NOW - sight.born >= 1.0
        weak = {"uid"} < set(found.evidence) and {"orphaned", "driver"} & set(found.evidence)
        assert STRONG & set(found.evidence) or (found.family is not None and weak)


@given(st.lists(SIGHTS, max_size=12), WORLDS)
def test_a_family_takes_no_protection_away(processes: list[Sight], world: dict[str, Any]) -> None:
    """What is protected or an orphan by proof is so whatever it is called."""
    sights = {sight.pid: sight for sight in (*HOST, *processes)}
    with_families, without = Ownership(sights, known(**world)), Ownership(sights, known(families=Families(), **world))
    for pid in sights:
        bare, named = without.judge(pid), with_families.judge(pid)
        if bare.fate == "protect" or bare.run is not None:
            assert (named.verdict, named.fate, named.run) == (bare.verdict, bare.fate, bare.run)
