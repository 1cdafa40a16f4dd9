"""What jobs inherit of their submitter's environment."""

from __future__ import annotations

import pytest
from msgspec import json

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.store.changes import NewJob, SubmitJobs
from jobkeepd.supervisor.workshop import Environments, Given

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio


async def test_what_belongs_to_the_submitter_alone_is_not_inherited(stage: Stage) -> None:
    """The variables of jobkeep and of systemd; and the same environment is the same object."""
    given = {"PATH": "/bin", "JOBKEEP_COOKIE": "x", "LISTEN_FDS": "1", "NOTIFY_SOCKET": "/s", "INVOCATION_ID": "i"}
    job = NewJob("job1", JobSpec(command=["true"]), "hash")
    await stage.store.apply(
        SubmitJobs(jobs=(job,), environments=(("hash", json.encode(given)),), by=ME, at=1.0)
    )
    environments = Environments(stage.store)
    assert await environments.get("hash") == Given({"PATH": "/bin"})
    assert await environments.get("hash") is await environments.get("hash")
