"""Pages and actions against a fake daemon: what is there, what is refused, and that nothing of a job becomes markup."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jobkeep.errors import NotPermitted, StorageFull
from jobkeep.protocol.jobs import ErrorInfo, FailedItem, ListReply
from web.conftest import Site, served
from web.fakes import AWAY, FakeDaemon, chunk, event, job

EVIL = "<script>alert(1)</script>"


def buttons(html: str, id: str) -> list[str]:
    """What can be pressed in the row of a job."""
    row = html.partition(f'id="job-{id}"')[2].partition("</tr>")[0]
    return re.findall(r'<form method="post" action="/jobs/\w+/(\w+)"', row)


def test_each_state_has_its_buttons(site: Site) -> None:
    """Resume for what has failed, Restart and Cancel for what runs, Cancel for what waits, none for a success."""
    html = site.get("/jobs?state=all")
    assert buttons(html, "aaa111") == []
    assert buttons(html, "bbb222") == ["resume"]
    assert buttons(html, "ccc333") == ["restart", "cancel"]
    assert buttons(html, "ddd444") == ["cancel"]


def test_the_first_page_has_what_is_under_way_and_what_ended_last(site: Site) -> None:
    """Tabs have the counts of all jobs; what runs comes before what waits, and what has ended below."""
    html = site.get("/jobs")
    counts = re.findall(r'id="tab-(\w+)".*?class="count">([\d,]+)<', html)
    assert dict(counts)["active"] == "2"
    assert dict(counts)["all"] == "4"
    live, _, ended = html.partition("Ended last")
    assert re.findall(r'id="job-(\w+)"', live) == ["ccc333", "ddd444"]
    assert re.findall(r'id="job-(\w+)"', ended) == ["bbb222", "aaa111"]


def test_conditions_are_in_the_address(site: Site, daemon: FakeDaemon) -> None:
    """State, queue and labels of the address are what is asked for; what makes no sense is told and left out."""
    html = site.get("/jobs?state=failed&queue=io&label=client=acme&since=2h")
    filter, states = next(about for name, about in daemon.calls if name == "listed")
    assert (filter.states, filter.queue, filter.labels, filter.since) == (("failed",), "io", {"client": "acme"}, "2h")
    assert states is None
    assert 'value="client=acme"' in html
    html = site.get(f"/jobs?state={EVIL}&queue=no%20queue&label=nothing&since=soon&before=x")
    assert html.count('<p class="banner">') == 4
    assert EVIL not in html


def test_lists_go_on_page_by_page(site: Site, daemon: FakeDaemon) -> None:
    """A page has at most fifty rows and a way to the older ones, which keeps the conditions."""
    daemon.put(*(job(f"f{number:03}", "failed") for number in range(70)))
    html = site.get("/jobs?state=failed")
    assert html.count('<tr id="job-') == 50
    older = re.search(r'<a href="(/jobs\?state=failed&amp;before=\d+)">Older', html)
    assert older is not None
    assert site.get(older[1].replace("&amp;", "&")).count('<tr id="job-') == 21


def test_nothing_of_a_job_becomes_markup(site: Site, daemon: FakeDaemon) -> None:
    """Name, label, note, argument, error, item, output and journal are text; what hides is shown."""
    daemon.items = [FailedItem(EVIL, ErrorInfo(EVIL, EVIL, EVIL))]
    daemon.history = [event(1, EVIL, data={"reason": EVIL, EVIL: EVIL})]
    daemon.output_of = [chunk(f"\x1b[31m{EVIL}\x1b[0m \u202ebidi\x1b]0;title\x07\n".encode())]
    daemon.put(
        job(
            "eee555", "failed", name=EVIL + "\u202e", labels={"a": EVIL}, queue=EVIL, key=EVIL, lock=EVIL,
            progress={"done": 1, "total": 2, "note": EVIL, "tallies": {EVIL: 1}, "failed_items": 1},
            outcome={"kind": "failed", "error": {"type": EVIL, "message": EVIL, "traceback": EVIL}},
            spec={"function": "a:b", "arguments": {EVIL: EVIL}, "cwd": "/" + EVIL},
        )
    )  # fmt: skip
    for page in ("/jobs?state=all", "/jobs/eee555", "/jobs/eee555/items", "/jobs/eee555/items?q=script"):
        html = site.get(page)
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert" in html
        assert "\u202e" not in html
        assert "\x1b" not in html
    assert '<span class="ink-1">' in site.get("/jobs/eee555")


def test_secrets_are_masked(site: Site, daemon: FakeDaemon) -> None:
    """Arguments, variables and options whose names tell what they are come as dots."""
    spec = {"function": "a:b", "arguments": {"password": "hunter2", "path": "x.csv"}, "env": {"API_KEY": "hunter2"}}
    daemon.put(job("fff666", spec=spec), job("ggg777", spec={"command": ["curl", "--token", "hunter2", "u:p@host"]}))
    for page in ("/jobs/fff666", "/jobs/ggg777"):
        html = site.get(page)
        assert "hunter2" not in html
        assert "••••••" in html


def test_what_was_marked_as_secret_is_told_by_its_name(site: Site, daemon: FakeDaemon) -> None:
    """The daemon does not say more of it."""
    daemon.put(job("hhh888", spec={"function": "a:b", "arguments": {"path": "x.csv"}, "secrets": ["pin", "<b>"]}))
    assert "pin, &lt;b&gt;" in site.get("/jobs/hhh888")


def test_a_prefix_leads_to_the_whole_id(site: Site) -> None:
    """As everywhere; an unknown id is 404 with a page of its own, and so is a page that there is not."""
    assert site.ask("/jobs/ccc").headers["location"] == "/jobs/ccc333"
    assert "No job nosuch" in site.get("/jobs/nosuch", 404)
    assert "no such page" in site.get("/elsewhere", 404)
    assert site.ask("/go?id=CCC").headers["location"] == "/jobs/ccc"
    assert site.ask("/go?id=../../x").headers["location"] == "/jobs"


def test_an_action_is_a_toast_or_a_way_back(site: Site, daemon: FakeDaemon) -> None:
    """A live page gets a part of a page, a plain form is sent back to where it was, and told there once."""
    text = site.post("/jobs/ccc333/cancel")
    assert text.startswith('<div class="toast good">')
    assert "ccc333 was asked to stop" in text
    assert site.post("/jobs/bbb222/resume", 303, alive=False, page="/jobs?state=failed") == "/jobs?state=failed"
    assert "bbb222 goes on from its checkpoint" in site.get("/jobs")
    assert "bbb222 goes on from its checkpoint" not in site.get("/jobs")
    assert [name for name, _ in daemon.calls if name in ("cancel", "resume")] == ["cancel", "resume"]


def test_what_the_state_does_not_allow_is_a_409_that_says_why(site: Site) -> None:
    """The page was old: the toast has the daemon's own sentence, and what to do."""
    text = site.post("/jobs/aaa111/cancel", 409)
    assert "Cannot cancel job aaa111: the job is succeeded" in text
    assert "the page shows what is possible" in text
    assert text.startswith('<div class="toast bad">')
    assert "<h1>Conflict" in site.post("/jobs/aaa111/cancel", 409, alive=False)


def test_some_verbs_ask_back(site: Site, daemon: FakeDaemon) -> None:
    """Removing takes the output with it: a page asks first, and only its own button does it."""
    html = site.post("/jobs/bbb222/rm", alive=False)
    assert "Remove import-leads?" in html
    assert daemon.count("rm") == 0
    assert site.post("/jobs/bbb222/rm", 303, alive=False, sure="1") == "/jobs"
    assert "bbb222" not in daemon.jobs


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (AWAY, 503, "no daemon answers"),
        (NotPermitted("uid 7 may not cancel jobs"), 403, "[access]"),
        (StorageFull("no room"), 507, "No room"),
    ],
)
def test_an_error_of_the_daemon_is_a_clear_page(
    site: Site, daemon: FakeDaemon, error: Exception, code: int, said: str
) -> None:
    """With its status, its sentence and a hint; never a traceback."""
    daemon.away = error  # type: ignore[assignment]
    for text in (site.get("/jobs", code), site.get("/jobs/ccc333", code), site.post("/jobs/ccc333/cancel", code)):
        assert said.lower() in text.lower()
        assert "Traceback" not in text


def test_read_only_shows_and_changes_nothing(daemon: FakeDaemon) -> None:
    """No form that changes anything is on a page, and a POST is refused even so."""
    with served(daemon, read_only=True) as site:
        site.enter()
        for page in ("/jobs", "/jobs/ccc333"):
            assert 'method="post"' not in site.get(page)
        assert "--read-only" in site.post("/jobs/ccc333/cancel", 403)
        assert daemon.count("cancel") == 0


def test_output_is_downloaded_byte_for_byte(site: Site, daemon: FakeDaemon) -> None:
    """As a file, as it was written, of one stream."""
    daemon.output_of = [chunk(b"one\n\x1b[31m\xff"), chunk(b"two", stream="stderr"), chunk(b"three", offset=9)]
    reply = site.ask("/jobs/ccc333/log?stream=stdout")
    assert reply.content == b"one\n\x1b[31m\xffthree"
    assert reply.headers["content-disposition"] == 'attachment; filename="ccc333.1.stdout.txt"'


def test_a_download_says_what_rotation_has_dropped(site: Site, daemon: FakeDaemon) -> None:
    """In its place, so that nobody takes what is left for the whole."""
    daemon.output_of = [chunk(b"", 3 << 20, dropped=3 << 20), chunk(b"rest", 3 << 20)]
    shown = "[… 3 MiB of older output dropped by rotation]\nrest"
    assert site.ask("/jobs/ccc333/log?stream=stdout").content == shown.encode()


def test_failed_items_are_paged_and_searched(site: Site, daemon: FakeDaemon) -> None:
    """Fifty to a page; a search looks at keys and errors alike."""
    daemon.items = [FailedItem(f"row-{n}", ErrorInfo("ValueError", "odd" if n % 2 else "even")) for n in range(120)]
    assert "row-49" in site.get("/jobs/ccc333/items")
    assert "row-50" not in site.get("/jobs/ccc333/items")
    assert "row-119" in site.get("/jobs/ccc333/items?page=3")
    found = site.get("/jobs/ccc333/items?q=ROW-11")
    assert found.count("<tr><td>") == 11
    assert 'class="count">60' in site.get("/jobs/ccc333/items?q=odd")


def test_a_job_that_starts_while_a_page_is_looked_at_is_on_it_once(
    site: Site, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs and what waits are asked for one after the other; nobody's row is gone for a moment."""
    listed = daemon.listed

    async def meanwhile(*asked: Any) -> ListReply:
        reply = await listed(*asked)
        daemon.put(job("ddd444", "running"))
        return reply

    monkeypatch.setattr(daemon, "listed", meanwhile)
    assert site.get("/jobs").count('id="job-ddd444"') == 1
