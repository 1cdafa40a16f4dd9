"""Whatever can be asked over the wire can be asked by both clients, and what they ask is of the wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

import jobkeep
from jobkeep.client.routes import INTERFACES

from .every_call import ASK_NOTHING, CALLS, done, done_blocking
from .faucet import Faucet

WIRE = {f"{interface.name}.{method.name}" for interface in INTERFACES for method in interface.methods}


@pytest.fixture
def faucet(tmp_path: Path) -> Iterator[Faucet]:
    faucet = Faucet(str(tmp_path / "socket"))
    yield faucet
    faucet.stop()


def public(client: type, handle: type) -> set[str]:
    def names(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}

    return names(client) - ASK_NOTHING | {f"job.{name}" for name in names(handle)}


@pytest.mark.parametrize(
    ("client", "handle"),
    [(jobkeep.Client, jobkeep.JobHandle), (jobkeep.BlockingClient, jobkeep.BlockingJobHandle)],
)
def test_every_public_method_is_walked(client: type, handle: type) -> None:
    """The walks of these tests leave none out."""
    assert public(client, handle) == set(CALLS)


@pytest.mark.parametrize("backend", ["asyncio", "trio", "blocking"])
def test_the_methods_reach_every_method_of_the_wire(faucet: Faucet, backend: str) -> None:
    """And their replies are understood, with all fields that may be there."""

    async def walk() -> None:
        async with jobkeep.connect(faucet.path) as jk:
            for call in CALLS.values():
                await done(call(jk))

    if backend == "blocking":
        with jobkeep.connect_blocking(faucet.path) as blocking:
            for call in CALLS.values():
                done_blocking(call(blocking))
    else:
        anyio.run(walk, backend=backend)
    asked = {called.method for called in faucet.calls}

    # Renewals come from a thread, and may not have been due; GiveUp is for what has gone wrong.
    assert WIRE - asked - {"org.jobkeep.Locks.Renew", "org.jobkeep.Locks.GiveUp"} == set()
    assert asked - WIRE == {"org.varlink.service.GetInfo"}
