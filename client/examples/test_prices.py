"""How a project tests its jobs: most of it without a daemon, the way through a real one once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prices import refresh

import jobkeep
from jobkeep.testing import BlockingFakeContext, PrivateDaemon, Rehearsal


@pytest.fixture
def offers(tmp_path: Path) -> str:
    """Twenty of them, of which the seventh makes no sense."""
    rows = [{"article": f"a{n}", "cents": "cheap" if n == 7 else str(100 + n)} for n in range(20)]
    file = tmp_path / "offers.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


@pytest.fixture(scope="module")
def daemon() -> Iterator[PrivateDaemon]:
    """A real one in a folder of its own, shared by the tests of this file; whatever it runs ends with it."""
    daemon = PrivateDaemon()
    with daemon:
        yield daemon


def test_one_call(offers: str, tmp_path: Path) -> None:
    """What a single run does, and what a daemon would have stored of it."""
    context = BlockingFakeContext()
    tallies = refresh(context, offers, str(tmp_path / "prices"))
    assert tallies == {"changed": 19, "failed": 1}
    assert (tmp_path / "prices" / "a3").read_text(encoding="utf-8") == "103"
    assert context.records.tallies == tallies


@pytest.mark.parametrize("after", [1, 5, 12])
def test_kill_9_at_any_item_loses_none(offers: str, tmp_path: Path, after: int) -> None:
    """Nor does it count one twice; fewer than `every` are done again."""
    job = Rehearsal(refresh, offers=offers, prices=str(tmp_path / "prices"))
    job.kill_after(after)
    tallies = job.run()
    assert tallies["changed"] + tallies.get("unchanged", 0) == 19
    assert len(job.items) - 20 <= 5
    assert job.failed == ["a7"]


def test_the_item_that_failed_is_mended_alone(offers: str, tmp_path: Path) -> None:
    """As `jobkeep resume ID --failed-items` does it."""
    job = Rehearsal(refresh, offers=offers, prices=str(tmp_path / "prices"))
    job.run()
    mended = Path(offers).read_text(encoding="utf-8").replace("cheap", "107")
    Path(offers).write_text(mended, encoding="utf-8")
    assert job.run(failed_items=True) == {"changed": 20}
    assert len(job.items) == 21


def test_through_a_real_daemon_that_is_killed(daemon: PrivateDaemon, offers: str, tmp_path: Path) -> None:
    """Submitted before, waited for after: the job goes on, and its result is the same."""
    arguments = {"offers": offers, "prices": str(tmp_path / "prices")}
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        job = jk.call("prices:refresh", arguments, cwd=str(Path(__file__).parent), on_lost="resume")
        daemon.kill()
        daemon.start().close()
        assert job.result(timeout="60s") == {"changed": 19, "failed": 1}
