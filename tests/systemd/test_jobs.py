"""What jobs have of their unit under a real systemd, and what its journal knows of them."""

from __future__ import annotations

import json

import pytest

from systemd.box import Box
from systemd.conftest import configure, drop_in

pytestmark = pytest.mark.systemd


def test_a_job_has_credentials_of_the_unit_by_file(service: Box) -> None:
    """A file of root alone, by LoadCredential=: a copy that only the service's user reads, for the time of the run."""
    service.sh("printf k-4711 >/etc/api.key && chmod 600 /etc/api.key")
    drop_in(service, "LoadCredential=api:/etc/api.key")
    service.sh("systemctl restart jobkeepd")
    script = 'cd $CREDENTIALS_DIRECTORY; cat api; stat -c " %a %U" api . | tr "\\n" " "; pwd'
    content, *rights, folder = service.sh(f"jobkeep run --credential api -- sh -c '{script}'").split()

    assert (content, rights) == ("k-4711", ["400", "jobkeep", "700", "jobkeep"])
    service.until(f"test ! -e {folder}")
    assert "k-4711" not in service.sh("journalctl -u jobkeepd -o export --no-pager; jobkeep ls --json --all")
    refused = service.sh("jobkeep run --credential other -- true 2>&1; jobkeep show $(jobkeep ls -q --all | head -1)")
    assert "the daemon has no credential other; there is api" in refused


def test_the_journal_knows_how_urgent_a_line_is(service: Box) -> None:
    """What is wrong is found by `journalctl -p`, and its lines are the bare ones of the log."""
    configure(service, "[jobs]", 'grace = "soon"')
    service.sh("systemctl reload jobkeepd")
    by_priority = "journalctl _SYSTEMD_UNIT=jobkeepd.service -o cat --no-pager -n 1 -p"
    refused = json.loads(service.until(f"{by_priority} err | grep reload_refused"))
    assert refused["level"] == "error"
    assert json.loads(service.sh(f"{by_priority} info..info"))["level"] == "info"
