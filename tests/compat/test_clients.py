"""What clients of earlier releases say is understood, and the answers have all that those clients read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jobkeep.testing import PrivateDaemon

from .scenario import PYTHON, prepared, wait_until
from .transcript import Names, covers, exchange
from .versions import VERSIONS


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_client_of_an_earlier_release_finds_all_it_knows(version: Path) -> None:
    """Its whole session is repeated, call by call: each reply has each field with the same type, word and order."""
    daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="2")
    prepared(daemon.home)
    names = Names(daemon.home, PYTHON)
    try:
        daemon.start().close()
        for line in (version / "clients.jsonl").read_text(encoding="utf-8").splitlines():
            step = json.loads(line)
            if "call" in step:
                replies = exchange(daemon.socket, names.fill_in(step["call"]))
                problem = covers(replies, step["replies"], names)
                assert problem is None, f"{step['by']}: {step['call']['method']}: {problem}\n{replies}"
            elif "until" in step:
                wait_until(str(daemon.socket), *names.fill_in(step["until"]))
            else:
                Path(names.fill_in(step["touch"])).touch()
        assert daemon.wait() == 0  # the last call was to stop
    finally:
        daemon.kill()
        shutil.rmtree(daemon.home)
