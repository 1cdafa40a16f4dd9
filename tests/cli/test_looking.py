"""ls, show, history, events and sql."""

from __future__ import annotations

from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault, Hangup, ended, job

EVENT = {"seq": 3, "at": "2026-03-01T11:57:00Z", "kind": "started", "job": "k3x9a0b1c2d3e4f5", "data": {}}


def pages(jobs: list[dict[str, Any]]) -> Any:
    """A List that pages through `jobs` as the daemon does."""

    def answer(where: dict[str, Any]) -> dict[str, Any]:
        states = where.get("state")
        matching = [one for one in jobs if not states or one["state"] in states]
        begin = where.get("before") or 0
        end = begin + where["limit"]
        return {"jobs": matching[begin:end], "next": end if end < len(matching) else None}

    return answer


def test_bare_jobkeep_lists_live_jobs_and_the_last_20_ended(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Live ones first; however many have ended, 20 of them."""
    daemon.answers["List"] = pages([*(ended(job__id=f"e{i:02}") for i in range(30)), job(id="live1")])

    ids = [line.split()[0] for line in jobkeep().out.splitlines()[1:]]

    assert ids == ["live1", *(f"e{i:02}" for i in range(20))]


def test_ls_passes_its_filters_on(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """States may be repeated or joined, durations become seconds."""
    daemon.answers["List"] = pages([])

    done = jobkeep("ls", "--state", "failed,cancelled", "--state", "failed", "--queue", "io", "--label", "a=b",
                   "--since", "2h", "--limit", "7")  # fmt: skip

    assert (done.code, done.out) == (0, "")
    assert daemon.called("List") == [
        {"limit": 7, "queue": "io", "label": {"a": "b"}, "since_s": 7200.0, "state": ["failed", "cancelled"]}
    ]


def test_ls_all_goes_through_every_page(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """No limit means no limit."""
    daemon.answers["List"] = pages([job(id=f"j{i:04}") for i in range(1201)])

    done = jobkeep("ls", "--all", "-q")

    assert done.out.splitlines() == [f"j{i:04}" for i in range(1201)]


def test_ls_passes_on_what_the_daemon_says_besides(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Once, on stderr."""
    daemon.answers["List"] = {"jobs": [job()], "next": None, "notice": "the disk is full"}
    assert jobkeep("ls", "--json").err == "jobkeep: the disk is full\n"


def test_ls_says_when_there_is_more(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """On stderr, so that the data stays clean."""
    daemon.answers["List"] = pages([job(id=f"j{i:04}") for i in range(300)])

    done = jobkeep("ls", "--state", "running")

    assert len(done.out.splitlines()) == 101
    assert done.err == "jobkeep: there are more: jobkeep ls --all, or --limit N\n"


def test_ls_says_that_more_jobs_have_ended(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """A note for people; programs that ask for --json know what they asked for."""
    daemon.answers["List"] = pages([ended(job__id=f"e{i:02}") for i in range(21)])

    assert jobkeep().err == "jobkeep: only the 20 jobs that ended last are shown: jobkeep ls --all, or --limit N\n"
    assert jobkeep("--json").err == ""
    assert jobkeep("ls", "--limit", "3").err == ""


def test_a_queue_that_is_none_is_told(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Not with an empty list alone."""
    daemon.answers.update(List=pages([]), Status={"queues": {"default": {}, "io": {}}})

    assert jobkeep("ls", "--queue", "oi").err == "jobkeep: there is no queue oi; there are: default, io\n"
    assert jobkeep("ls", "--queue", "io").err == ""


def test_json_is_the_wires_own(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """One object per line for ls, one for show; fields that this client does not know are kept, in their order."""
    given = job(name="x\x9b\u202e", new_field={"b": 1, "a": [None, 2.5]})
    daemon.answers.update(List=pages([given, ended()]), Get={"job": given})

    listed, shown = jobkeep("ls", "--json"), jobkeep("--json", "show", "k3")

    assert listed.rows == [given, ended()]
    assert shown.json == given
    assert list(shown.json) == list(given)
    assert shown.out.isascii()


def test_show_and_wait_tell_what_a_function_returned(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Whole with --json, in one safe line for people; `null` is one, too."""
    done = ended("succeeded", job__kind="function")
    for result in ({"added": [1, 2], "note": "\x1b[2J"}, None, "x" * 5000):
        daemon.answers.update(Get={"job": done}, Wait={"jobs": [done]}, Result={"result": result})
        assert jobkeep("show", "k3", "--json").json["result"] == result
        assert jobkeep("wait", "k3", "--json").json["result"] == result
        shown = next(line for line in jobkeep("show", "k3").out.splitlines() if "result" in line)
        assert len(shown) < 1100
        assert "\x1b" not in shown
        assert shown.split()[-1][-1] in '}l…'
    daemon.answers["Result"] = None
    daemon.answers["Get"] = {"job": ended("succeeded")}
    assert "result" not in jobkeep("show", "k3", "--json").json


def test_show_asks_for_the_first_failed_items(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Only if there are any."""
    progress: dict[str, Any] = {"done": 5, "total": None, "note": None, "tallies": {}, "failed_items": 2}
    item = {"key": "row-1", "error": {"type": "KeyError", "message": "'x'"}}
    daemon.answers.update(Get={"job": job(progress=progress)}, FailedItems={"items": [item], "total": 2})

    done = jobkeep("show", "k3")

    assert "row-1" in done.out
    assert "and 1 more" in done.out
    assert daemon.called("FailedItems") == [{"id": "k3x9a0b1c2d3e4f5", "limit": 10}]


def test_ids_are_short_unless_all_of_them_is_wanted(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """8 characters, --no-trunc for the whole; -q gives what can be passed on."""
    daemon.answers["List"] = pages([job()])

    assert jobkeep().out.splitlines()[1].split()[0] == "k3x9a0b1"
    assert jobkeep("--no-trunc").out.splitlines()[1].split()[0] == "k3x9a0b1c2d3e4f5"
    assert jobkeep("-q").out == "k3x9a0b1c2d3e4f5\n"


@pytest.mark.parametrize(
    ("fault", "code", "hint"),
    [
        (Fault("NotFound", message="no job k", id="k"), 3, "jobkeep ls --all lists the ids"),
        (Fault("Ambiguous", message="two jobs", id="k", matches=["k1", "k2"]), 3, "it matches k1, k2"),
        (Fault("org.jobkeep.Admin.NotPermitted", message="not yours", uid=7), 6, None),
        (Fault("Invalid", message="no\x1b[2J", field="id"), 2, None),
        (Fault("org.jobkeep.Admin.Internal", message="a bug", reference="r7"), 4, "the daemon's log tells more at r7"),
        (Fault("org.varlink.service.InvalidParameter", parameter="id"), 2, None),
        (Fault("org.varlink.service.MethodNotFound", method="x.Get"), 4, "jobkeep version shows whether client"),
        (Fault("NewFault"), 4, None),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_faults_have_exit_codes_and_hints(
    jobkeep: Jobkeep, daemon: FakeDaemon, fault: Fault, code: int, hint: str | None
) -> None:
    """What, why, and what to do; escapes of the daemon are shown, not obeyed."""

    def refuse(_: object) -> None:
        raise fault

    daemon.answers["Get"] = refuse
    done = jobkeep("show", "k")

    assert done.code == code
    assert done.out == ""
    assert done.err.startswith("jobkeep: ")
    assert "\x1b" not in done.err
    assert (hint is None) == ("hint:" not in done.err)
    assert hint is None or f"hint: {hint}" in done.err


def test_no_daemon_is_exit_code_4(jobkeep: Jobkeep) -> None:
    """With the way to start one."""
    done = jobkeep("ls")

    assert done.code == 4
    assert "there is no such socket" in done.err
    assert "hint: " in done.err


def test_a_silent_daemon_is_not_waited_for_longer_than_asked(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """--timeout bounds an answer, and a silent daemon is not asked again."""
    import threading

    release = threading.Event()
    daemon.answers["Get"] = lambda _: release.wait(60) and {"job": job()}

    done = jobkeep("--timeout", "0.1", "show", "k")
    release.set()

    assert done.code == 4
    assert "no answer within 0.1 s" in done.err
    assert len(daemon.called("Get")) == 1


def test_a_broken_connection_is_dialled_again(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """A request that changes nothing is asked twice."""
    breaks = iter([Hangup(), None])

    def answer(_: object) -> dict[str, Any]:
        if broken := next(breaks):
            raise broken
        return {"job": job()}

    daemon.answers["Get"] = answer

    assert jobkeep("show", "k", "-q").out == "k3x9a0b1c2d3e4f5\n"


def test_a_daemon_that_cannot_serve_is_not_asked_for_ever(
    jobkeep: Jobkeep, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience counts from the last good answer, and ends with the daemon's own words."""
    monkeypatch.setattr("jobkeep.cli.wire.CALL_PATIENCE", 1.0)

    def refuse(_: object) -> None:
        raise Fault("org.jobkeep.Admin.ShuttingDown", message="the daemon is about to end")

    daemon.answers["Get"] = refuse
    done = jobkeep("show", "k")

    assert done.code == 4
    assert "the daemon is about to end: nothing was changed" in done.err
    assert len(daemon.called("Get")) > 1


def test_an_answer_that_is_no_json_is_an_error(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Whoever listens there is not our daemon."""
    daemon.raw = b"HTTP/1.1 400 Bad Request\r\n\0"

    done = jobkeep("show", "k")

    assert (done.code, done.err) == (4, "jobkeep: the daemon's answer is not JSON\n")


def test_history_and_events_are_lines_or_json(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """The journal, of one job or of all."""
    daemon.answers.update(History={"entries": [EVENT]}, Events=lambda _: iter([{"event": EVENT}]))

    assert jobkeep("history", "k3").out == "     3  2026-03-01T11:57:00Z  started\n"
    assert jobkeep("events", "--after", "2").out == "     3  2026-03-01T11:57:00Z  k3x9a0b1  started\n"
    assert daemon.called("Events") == [{"after": 2, "follow": False}]
    assert jobkeep("events", "--json").rows == [EVENT]


def test_events_continue_behind_the_last_one(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """A reader that was dropped as too slow loses nothing and sees nothing twice."""

    def stream(where: dict[str, Any]) -> Any:
        after = where.get("after") or 0
        if after == 0:
            yield {"event": {**EVENT, "seq": 1}}
            yield {"event": {**EVENT, "seq": 2}}
            yield {"flush": True}
            raise Fault("SlowReader", message="too slow", after=2)
        yield {"event": {**EVENT, "seq": after + 1}}

    daemon.answers["Events"] = stream

    assert [event["seq"] for event in jobkeep("events", "--json").rows] == [1, 2, 3]


def test_events_that_were_pruned_are_told(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Exit code 3, and how to go on."""

    def stream(where: dict[str, Any]) -> Any:
        raise Fault("EventsGone", message="events after 3 are not kept any more", after=3, first=10)
        yield

    daemon.answers["Events"] = stream
    done = jobkeep("events", "--after", "3")
    assert done.code == 3
    assert "hint: jobkeep events --after 9 goes on there" in done.err


def test_sql_prints_a_table_or_objects(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """With --json a list of objects; a cut answer says so."""
    daemon.answers["Sql"] = {"columns": ["id", "n"], "rows": [["k1", 1], ["k2", None]], "truncated": True}

    assert jobkeep("sql", "SELECT 1", "--json").json == [{"id": "k1", "n": 1}, {"id": "k2", "n": None}]
    assert jobkeep("sql", "SELECT 1").out == "id  n\nk1  1\nk2\n"
    assert jobkeep("sql", "SELECT 1", "-q").out == "k1\nk2\n"
    assert "only the first rows" in jobkeep("sql", "SELECT 1").err


def test_a_bad_query_is_the_users_mistake(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Exit code 2 and the database's own words."""

    def refuse(_: object) -> None:
        raise Fault("org.jobkeep.Admin.BadQuery", message="no such table: x")

    daemon.answers["Sql"] = refuse
    done = jobkeep("sql", "SELECT * FROM x")

    assert done.code == 2
    assert done.err.startswith("jobkeep: no such table: x\nhint: ")
