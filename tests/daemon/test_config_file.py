"""Which configuration file is read, and what is said of its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobkeepd.arguments import default_file
from jobkeepd.config import load
from jobkeepd.errors import BadConfig


def test_the_user_s_own_file_is_read_where_none_is_named(tmp_path: Path) -> None:
    """Or that of $JOBKEEP_CONFIG; an empty one is none."""
    own = tmp_path / "jobkeep" / "config.toml"
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert default_file(environ) is None
    own.parent.mkdir()
    own.touch()
    assert default_file(environ) == own
    assert default_file({**environ, "JOBKEEP_CONFIG": "/other.toml"}) == Path("/other.toml")
    assert default_file({**environ, "JOBKEEP_CONFIG": ""}) is None


def test_a_key_that_has_a_default_is_not_missed(tmp_path: Path) -> None:
    """Only what is wrong is told."""
    file = tmp_path / "config.toml"
    file.write_text('[queues.a]\nlimit = 0\n')
    with pytest.raises(BadConfig) as caught:
        load(file, {}, 2, 0)
    said = [problem.partition(":")[0] for problem in caught.value.problems]
    assert said == ["[queues.a] limit = 0"]
