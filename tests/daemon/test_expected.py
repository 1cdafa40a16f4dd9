"""A value that is wrong is answered with what to write, and by the name under which it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobkeepd.config import load
from jobkeepd.errors import BadConfig

HOME = {"HOME": "/nowhere", "XDG_RUNTIME_DIR": "/run/user/7"}


def problem(tmp_path: Path, text: str, **environ: str) -> str:
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadConfig) as caught:
        load(tmp_path / "c.toml", {**HOME, **environ}, 4, 1000)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[queues.io]\nlimit = "many"', "[queues.io] limit = 'many': write a whole number such as 3"),
        ("[queues.io]\nlimit = 0", "[queues.io] limit = 0: write a whole number of 1 or more"),
        ("[sessions.x]\ncommand = 3", "[sessions.x] command = 3: write a list such as [\"one\", \"two\"]"),
        ("[sessions.x]\ncommand = [3]", "[sessions.x] command = [3]: write text in quotes, such as \"word\" at [0]"),
        ('[daemon]\nlog_level = "loud"', "[daemon] log_level = 'loud': write one of debug, info, warning, error"),
        ("[daemon]\nstate_dir = 3", "[daemon] state_dir = 3: write text in quotes, such as \"word\""),
        ("[logs]\nmax_bytes = 1000", "[logs] max_bytes = 1000: write 256K or more, or 0 for any number"),
        ('[access]\nmax_log_bytes = "1K"', "[access] max_log_bytes = 1024: write 256K or more, or 0 for any number"),
        ('[logs]\nmax_bytes = "big"', "[logs] max_bytes = 'big': not a size: 'big'; write it like 512M or 1.5G"),
        ('[jobs]\non_lost = "pray"', "[jobs] on_lost = 'pray': write one of fail, resume"),
        ("[jobs]\ngrace = -1", "[jobs] grace = -1: write a number above 0"),
        ('[locks]\nttl = "abc"', "[locks] ttl = 'abc': not a duration: 'abc'; write it like 90s, 15m, 3.5h or 2d"),
        (
            '[sessions.b]\ncommand = ["x"]\nhealth = "x"',
            "[sessions.b] health = 'x': write a table such as { key = \"value\" }",
        ),
    ],
)
def test_a_bad_value_is_answered_with_what_to_write(tmp_path: Path, text: str, said: str) -> None:
    """Not with the words of a library."""
    assert problem(tmp_path, text) == said


def test_a_bad_variable_is_named(tmp_path: Path) -> None:
    """Nobody looks for it in the file, not even where the file says something of that key, too."""
    said = problem(tmp_path, '[locks]\nttl = "5s"', JOBKEEP_LOCKS_TTL="abc")
    assert said.startswith("JOBKEEP_LOCKS_TTL = 'abc': not a duration")
    said = problem(tmp_path, "", JOBKEEP_QUEUES_DEFAULT_LIMIT="x")
    assert said == "JOBKEEP_QUEUES_DEFAULT_LIMIT = 'x': write a whole number such as 3"


def test_bytes_may_be_written_as_people_do(tmp_path: Path) -> None:
    """In the file and in a variable; a number is bytes."""
    (tmp_path / "c.toml").write_text('[logs]\nmax_bytes = "64M"\n[access]\nmax_log_bytes = 1048576', encoding="utf-8")
    found = load(tmp_path / "c.toml", HOME, 4, 1000)
    assert (found.logs.max_bytes, found.access.max_log_bytes) == (64 << 20, 1 << 20)
    assert load(None, {**HOME, "JOBKEEP_LOGS_MAX_BYTES": "1.5G"}, 4, 1000).logs.max_bytes == 3 << 29
