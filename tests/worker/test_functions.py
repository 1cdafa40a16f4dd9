"""What a run of a function does, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from .fake_daemon import FakeDaemon


@pytest.fixture
def daemon(shared_daemon: FakeDaemon) -> FakeDaemon:
    return shared_daemon


@pytest.mark.parametrize("function", ["sample:add", "sample:add_async"])
def test_functions_are_called_with_their_arguments(daemon: FakeDaemon, function: str) -> None:
    """Plain and async ones, one after the other in the same process."""
    begun = daemon.runs, len(daemon.reports)
    assert daemon.finish_of(function, a=2)["result"] == 3
    assert daemon.finish_of("sample:add", a=2, b=5)["result"] == 7
    assert daemon.finish_of("sample:add_async", a=0)["result"] == 1
    assert daemon.finish_of("sample:echo", x=[1, {"y": None}])["result"] == {"x": [1, {"y": None}]}
    ends = [report["fence"] for name, report in daemon.reports[begun[1]:] if name != "Beat"]
    assert ends == list(range(begun[0] + 1, daemon.runs + 1))
    assert [worker["worker"] for worker in daemon.attached] == ["seat1"]


def test_a_run_knows_itself(daemon: FakeDaemon) -> None:
    """By its environment and by its context; the working directory is the first place to import from."""
    here = str(daemon.directory)
    job, number, cookie, *folders = daemon.finish_of("sample:seen")["result"]
    assert (number, f"cookie{job[1:]}", folders) == ("1", cookie, [here, here])
    job, *facts = daemon.finish_of("sample:context", where="/a/b")["result"]
    assert (f"{job}.1", facts) == (daemon.reports[-1][1]["run"], [1, "f", None, "b"])
    assert daemon.finish_of("sample:blocking_context")["result"] == "BlockingJobContext"


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("sample:add", {"a": "two"}, "argument 'a' of sample:add: Expected `int`, got `str`"),
        ("sample:add", {}, "sample:add needs an argument 'a'"),
        ("sample:add_async", {"a": 1, "c": 1, "d": 2}, "sample:add_async takes no argument 'c', 'd'"),
        ("sample:nothing", {}, "module 'sample' has no 'nothing'"),
        ("sample:NOT_CALLABLE", {}, "'sample:NOT_CALLABLE' is a int and cannot be called"),
    ],
)
def test_what_cannot_be_called_says_why(
    daemon: FakeDaemon, function: str, arguments: dict[str, Any], message: str
) -> None:
    """The function is not entered, and the worker goes on."""
    finish = daemon.finish_of(function, **arguments)
    assert (finish["outcome"], finish["error"]["message"]) == ("failed", message)
    assert daemon.finish_of("sample:add", a=1)["result"] == 2


def test_a_module_that_is_not_there_is_told_with_where_it_was_looked_for(daemon: FakeDaemon) -> None:
    """The first place is the working directory."""
    error = daemon.finish_of("nowhere.at_all:f")["error"]
    assert error["type"] == "UnknownFunction"
    assert error["message"].startswith(
        "there is no module 'nowhere' for 'nowhere.at_all:f', "
        f"neither in the working directory {daemon.directory} nor "
    )


def test_a_module_that_fails_to_import_shows_its_traceback(daemon: FakeDaemon) -> None:
    """Of its own line, also when what it imports is missing."""
    (daemon.directory / "broken.py").write_text("1 / 0\n")
    (daemon.directory / "needy.py").write_text("import no_such_thing\n")
    error = daemon.finish_of("broken:f")["error"]
    assert error["type"] == "ModuleBroken"
    assert "ZeroDivisionError" in error["message"]
    assert 'broken.py", line 1' in error["traceback"]
    assert "no_such_thing" in daemon.finish_of("needy:f")["error"]["message"]


def test_an_exception_fails_the_run_with_its_own_traceback(daemon: FakeDaemon) -> None:
    """Without a frame of the worker, and bounded."""
    error = daemon.finish_of("sample:fail", message="é\x00" * 50_000)["error"]
    assert error["type"] == "LookupError"
    assert len(error["message"]) + len(error["traceback"]) < 16 << 10
    traceback = daemon.finish_of("sample:fail_async")["error"]["traceback"]
    assert "in fail_async" in traceback
    assert "serve.py" not in traceback


def test_an_exit_is_the_end_of_a_run_as_it_is_of_a_script(daemon: FakeDaemon) -> None:
    """Without a status, or with 0, it is a success."""
    for function, arguments in (
        ("sample:leave", {"code": None}),
        ("sample:leave", {"code": 0}),
        ("sample:leave_async", {}),
    ):
        finish = daemon.finish_of(function, **arguments)
        assert (finish["outcome"], finish.get("result")) == ("succeeded", None)
    for code in (3, "no input"):
        error = daemon.finish_of("sample:leave", code=code)["error"]
        assert (error["type"], error["message"]) == ("SystemExit", str(code))


def test_results_are_bounded_json(daemon: FakeDaemon) -> None:
    """The error names the limit, or the type that is none of JSON's."""
    large = daemon.finish_of("sample:large")["error"]
    assert large["type"] == "TooLarge"
    assert "over the limit of 262144" in large["message"]
    assert "object" in daemon.finish_of("sample:not_json")["error"]["message"]


def test_what_json_has_no_number_for_is_refused_and_never_becomes_null(daemon: FakeDaemon) -> None:
    """Neither in a result, however deep, nor in a state; what else msgspec knows is taken as it encodes it."""
    for depth in (0, 1, 200):
        error = daemon.finish_of("sample:not_finite", depth=depth)["error"]
        assert error["type"] == "TypeError"
        assert f"the result{'[0]' * depth}[1] is -inf" in error["message"]
    error = daemon.finish_of("sample:not_finite_state")["error"]
    assert (error["type"], "the state['mean'] is nan" in error["message"]) == ("TypeError", True)
    assert daemon.finish_of("sample:unlike_json")["result"] == [[1], [2, None], 2**70, "2026-01-02"]


def test_output_goes_to_the_files_of_the_run(daemon: FakeDaemon) -> None:
    """Byte by byte: text, raw bytes and that of children; it is complete when the end is reported."""
    run = daemon.order("sample:talk")
    daemon.wait("Finish", run)
    assert daemon.output(run) == b"first\nno end of line\x00\xff raw\nchild\n"
    assert daemon.output(run, "err") == b"complaint\nlast words"
    silent = daemon.order("sample:add", a=1)
    daemon.wait("Finish", silent)
    assert daemon.output(silent) == b""
    told = {finish["run"]: finish.get("silent", False) for _, finish in daemon.reports}
    assert (told[run], told[silent]) == (False, True)
    assert (daemon.directory / "worker.log").read_bytes() == b""


def test_an_order_may_arrive_in_pieces(daemon: FakeDaemon) -> None:
    """And several at once."""
    first = daemon.order("sample:add", cut=True, a=1)
    others = [daemon.order("sample:add", a=n) for n in range(20)]
    assert daemon.wait("Finish", first)["result"] == 2
    assert [daemon.wait("Finish", run)["result"] for run in others] == list(range(1, 21))


def test_a_batch_reports_checkpoints_before_its_end(daemon: FakeDaemon) -> None:
    """Their seqs rise by one from that of the order; failed items are in them."""
    for function in ("sample:items", "sample:items_blocking"):
        run = daemon.send_run(function, {"number": 9}, checkpoint_seq=4)
        assert daemon.wait("Finish", run)["result"] == {"ok": 7, "failed": 2}
        mine = [report for name, report in daemon.reports if report["run"] == run and name not in ("Progress", "Beat")]
        assert [report.get("seq") for report in mine] == [*range(5, 4 + len(mine)), None]
        assert [item["key"] for report in mine for item in report.get("failed", [])] == ["3", "7"]
        whole = {"count": 9, "tallies": {"ok": 7, "failed": 2}, "complete": True}
        assert mine[-2]["cursor"] == {"batches": {"0": whole}}


def test_failed_items_are_asked_for_page_by_page(daemon: FakeDaemon) -> None:
    """A page holds a thousand."""
    daemon.keys = [{"batch": "0", "key": str(n)} for n in range(4, 4 + 1500)]
    cursor = {"batches": {"0": {"count": 1600, "tallies": {"ok": 100, "failed": 1500}, "complete": True}}}
    more: dict[str, Any] = {"cursor": cursor, "failed_items": 1500, "checkpoint_every": 500}
    run = daemon.send_run("sample:items", {"number": 1600}, only_failed=True, **more)
    finish = daemon.wait("Finish", run)
    assert finish["result"] == {"ok": 100 + 1125, "failed": 375}
    pages = [report.get("after", 0) for name, report in daemon.reports if name == "FailedKeys"]
    assert pages == [0, 1000]


def test_async_runs_share_a_loop_and_nothing_else(daemon: FakeDaemon) -> None:
    """A context variable is as it was; who cancels all tasks harms no run but itself."""
    results = [daemon.finish_of("sample:keep_in_context").get("result") for _ in range(3)]
    assert results == ["nothing"] * 3
    for _ in range(2):
        assert daemon.finish_of("sample:cancel_all")["outcome"] == "succeeded"
        assert daemon.finish_of("sample:add_async", a=1)["result"] == 2
        assert "cancelled its own task" in daemon.finish_of("sample:cancel_own")["error"]["message"]
        assert daemon.finish_of("sample:keep_in_context")["result"] == "nothing"


def test_runs_that_share_their_output_files_do_not_share_output(daemon: FakeDaemon) -> None:
    """The daemon renames a file that has something in it; the next run gets a new one."""
    paths = {stream: str(daemon.directory / f"seat.{stream}") for stream in ("stdout", "stderr")}
    for number in range(3):
        daemon.wait("Finish", daemon.send_run("sample:add", {"a": 1}, **paths))
        daemon.wait("Finish", daemon.send_run("sample:talk", {}, **paths))
        kept = (daemon.directory / "seat.stdout").rename(daemon.directory / f"kept.{number}")
        (daemon.directory / "seat.stderr").rename(daemon.directory / f"complaints.{number}")
        assert kept.read_bytes().count(b"first") == 1
    daemon.wait("Finish", daemon.send_run("sample:add", {"a": 1}, **paths))
    assert (daemon.directory / "seat.stdout").read_bytes() == b""


@pytest.mark.parametrize("grouped", [False, True])
def test_a_permanent_failure_is_reported_as_such(shared_daemon: FakeDaemon, grouped: bool) -> None:
    """Also from within a group; any other failure is not."""
    finish = shared_daemon.finish_of("sample:fail_for_good", grouped=grouped)
    assert (finish["outcome"], finish["permanent"]) == ("failed", True)
    assert "the account is closed" in finish["error"]["traceback"]
    assert "permanent" not in shared_daemon.finish_of("sample:fail", message="later")
