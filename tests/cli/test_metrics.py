"""`jobkeep metrics`: text that Prometheus reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon

FAMILIES = [
    {"name": "jobkeep_jobs_ended", "kind": "counter", "help": "Jobs that ended.", "samples": [
        {"suffix": "_total", "labels": {"queue": 'a"\\b', "state": "failed"}, "value": 3.0},
    ]},
    {"name": "jobkeep_run_duration_seconds", "kind": "histogram", "help": "How long.", "samples": [
        {"suffix": "_bucket", "labels": {"le": "1"}, "value": 1.0},
        {"suffix": "_bucket", "labels": {"le": "+Inf"}, "value": 2.0},
        {"suffix": "_count", "labels": {}, "value": 2.0},
        {"suffix": "_sum", "labels": {}, "value": 7.5},
    ]},
    {"name": "jobkeep_locks_held", "kind": "gauge", "help": "Locks.", "samples": [
        {"suffix": "", "labels": {}, "value": 0.0},
    ]},
]  # fmt: skip
SAMPLES = {
    ("jobkeep_jobs_ended_total", (("queue", 'a"\\b'), ("state", "failed")), 3.0),
    ("jobkeep_run_duration_seconds_bucket", (("le", "1"),), 1.0),
    ("jobkeep_run_duration_seconds_bucket", (("le", "+Inf"),), 2.0),
    ("jobkeep_run_duration_seconds_count", (), 2.0),
    ("jobkeep_run_duration_seconds_sum", (), 7.5),
    ("jobkeep_locks_held", (), 0.0),
}


@pytest.fixture(autouse=True)
def counted(daemon: FakeDaemon) -> None:
    daemon.answers["Metrics"] = {"families": FAMILIES}


def test_the_text_is_openmetrics(jobkeep: Jobkeep) -> None:
    """Its own parser reads what was sent."""
    done = jobkeep("metrics")
    found = {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in openmetrics(done.out)
        for sample in family.samples
    }
    assert done.code == 0
    assert done.out.endswith("# EOF\n")
    assert found == SAMPLES


def test_a_textfile_appears_whole(jobkeep: Jobkeep, tmp_path: Path) -> None:
    """In the format that node_exporter reads, with nothing left beside it."""
    path = tmp_path / "jobkeep.prom"
    path.write_text("old")
    assert jobkeep("metrics", "--textfile", str(path)).code == 0
    names = {sample.name for family in prometheus(path.read_text()) for sample in family.samples}
    assert names == {name for name, _, _ in SAMPLES}
    assert [each.name for each in tmp_path.iterdir()] == ["jobkeep.prom"]


def test_a_file_that_cannot_be_written_is_told_in_words(jobkeep: Jobkeep, tmp_path: Path) -> None:
    """Not with a traceback."""
    done = jobkeep("metrics", "--textfile", str(tmp_path / "none" / "x.prom"))
    assert done.code == 2
    assert "No such file or directory" in done.err
    assert "Traceback" not in done.err


def test_without_the_extra_it_says_what_to_install(jobkeep: Jobkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    """--json needs nothing."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    done = jobkeep("metrics")
    assert (done.code, done.out) == (2, "")
    assert "pip install 'jobkeep[metrics]'" in done.err
    assert json.loads(jobkeep("metrics", "--json").out) == FAMILIES
