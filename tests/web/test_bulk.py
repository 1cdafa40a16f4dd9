"""Verbs for many jobs: those that are ticked, and all that match after asking back."""

from __future__ import annotations

from typing import Any

import pytest

from jobkeep.web.acting import bulk
from web.conftest import Site
from web.fakes import FakeDaemon, job, matching


@pytest.fixture(autouse=True)
def verbs(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(verb: str, state: str) -> Any:
        sweep = matching(daemon, verb, state)
        return lambda connection, **given: sweep(**given)

    states = {"cancel": "cancelled", "resume": "queued", "restart": "queued", "rm": "succeeded"}
    monkeypatch.setattr(bulk, "KINDS", {verb: kind(verb, state) for verb, state in states.items()})


def test_ticked_jobs_are_acted_on_and_refusals_counted(site: Site, daemon: FakeDaemon) -> None:
    """Each by itself: the others are told with their reasons, on the page that it came from."""
    ids = ["ccc333", "ddd444", "aaa111", "nosuch"]
    assert site.post("/jobs/bulk", 303, alive=False, page="/jobs?state=all", verb="cancel", id=ids) == "/jobs?state=all"
    html = site.get("/jobs")
    assert "2 jobs cancelled" in html
    assert "1 other: cannot cancel job aaa111: the job is succeeded" in html
    assert "1 other: no job nosuch" in html
    assert daemon.count("cancel") == 2


def test_nothing_ticked_is_told(site: Site, daemon: FakeDaemon) -> None:
    """And an unknown verb is no page."""
    site.post("/jobs/bulk", 303, alive=False, verb="cancel")
    assert "No job is selected" in site.get("/jobs")
    site.post("/jobs/bulk", 404, alive=False, verb="explode", id="ccc333")


def test_the_page_says_how_many_match_where_it_has_all_of_them(site: Site, daemon: FakeDaemon) -> None:
    """By the counts of the daemon where only the state is asked for; where neither knows, the question that follows."""
    daemon.put(*(job(f"q{number}", "queued", labels={"client": "acme"}) for number in range(20)))
    daemon.put(*(job(f"r{number}", "running", labels={"client": "acme"}) for number in range(40)))
    assert "all 62 that match" in site.get("/jobs")
    assert "all 60 that match" in site.get("/jobs?label=client=acme")
    daemon.put(*(job(f"s{number}", "running", labels={"client": "acme"}) for number in range(20)))
    assert "> all that match" in site.get("/jobs?label=client=acme")
    assert "> all that match" in site.get("/jobs?state=running&label=client=acme")
    assert "> all 20 that match" in site.get("/jobs?state=queued&label=client=acme")


def test_all_that_match_are_counted_first(site: Site, daemon: FakeDaemon) -> None:
    """A page says how many, by the list's own conditions; its button does it, and goes back to the list."""
    daemon.put(*(job(f"f{number}", "failed") for number in range(30)))
    html = site.post(
        "/jobs/bulk", alive=False, page="/jobs?state=failed", verb="resume", matching="1", state="failed",
        label="client=acme",
    )  # fmt: skip
    assert "Resume 31 jobs?" in html
    assert "Resume 31 jobs</button>" in html  # the button says it, too
    assert daemon.calls[-1] == (
        "resume_matching", (True, {"state": ("failed",), "label": {"client": "acme"}}),
    )  # fmt: skip
    for field in ('name="state" value="failed"', 'name="label" value="client=acme"', 'name="matching" value="1"'):
        assert field in html
    again = {"verb": "resume", "matching": "1", "state": "failed", "sure": "1", "back": "/jobs?state=failed"}
    assert site.post("/jobs/bulk", 303, alive=False, page="/jobs/bulk", **again) == "/jobs?state=failed"
    assert "31 jobs resumed" in site.get("/jobs")
    assert all(each.state != "failed" for each in daemon.jobs.values())


def test_every_job_needs_no_condition(site: Site, daemon: FakeDaemon) -> None:
    """The list of all jobs asks for all of them, and says so to the daemon."""
    site.post("/jobs/bulk", alive=False, verb="cancel", matching="1", state="all")
    assert daemon.calls[-1] == ("cancel_matching", (True, {"all": True}))


def test_removing_asks_back(site: Site, daemon: FakeDaemon) -> None:
    """Also for the ticked ones, since their output goes with them."""
    html = site.post("/jobs/bulk", alive=False, verb="rm", id=["aaa111", "bbb222"])
    assert "Remove 2 jobs?" in html
    assert daemon.count("rm") == 0
    site.post("/jobs/bulk", 303, alive=False, verb="rm", id=["aaa111", "bbb222"], sure="1")
    assert sorted(daemon.jobs) == ["ccc333", "ddd444"]


@pytest.mark.parametrize("back", ["//evil.test/", "https://evil.test/", "/\\evil.test", "javascript:alert(1)", "/x\ny"])
def test_the_way_back_stays_here(site: Site, back: str) -> None:
    """Whatever a form says: never to another site."""
    assert site.post("/jobs/bulk", 303, alive=False, verb="cancel", id="ccc333", back=back) == "/jobs"
