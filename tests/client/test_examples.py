"""The web service of the examples, over a real daemon: each endpoint does what it says."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx
import pytest

from jobkeep.testing import PrivateDaemon

EXAMPLES = Path(__file__).resolve().parents[2] / "client/examples"
PATIENCE_S = 60
JOBS = """
import os

async def mail(ctx, count: int, gate: str) -> dict:
    async def one(item: int) -> str:
        while item == 3 and not os.path.exists(gate):
            await ctx.sleep(0.01)
        if item == 5 and not os.path.exists(gate + ".mended"):
            raise ValueError("no such address")
        return "sent"
    return (await ctx.for_each(range(count), one, key=str, every=1)).tallies
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateDaemon]:
    daemon = PrivateDaemon()
    (daemon.home / "shop.py").write_text(JOBS)
    monkeypatch.chdir(daemon.home)  # the service and the jobs of its package have one folder
    monkeypatch.setenv("JOBKEEP_SOCKET", str(daemon.socket))
    with daemon:
        yield daemon


@asynccontextmanager
async def served(daemon: PrivateDaemon) -> AsyncIterator[httpx.AsyncClient]:
    app = example("service").service("shop:mail", str(daemon.socket))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://here") as http:
        yield http


async def ended(http: httpx.AsyncClient, id: str) -> dict[str, Any]:
    """The run, once its stream of progress is over."""
    with anyio.fail_after(PATIENCE_S):
        text = (await http.get(f"/runs/{id}/progress")).text
    said = [json.loads(line.removeprefix("data: ")) for line in text.split("\n\n") if line]
    assert said[-1]["state"] in ("succeeded", "failed", "cancelled")
    return dict((await http.get(f"/runs/{id}")).json())


async def held(http: httpx.AsyncClient, id: str, attempt: int = 1) -> None:
    """Until that run of the job is at its gate."""
    with anyio.fail_after(PATIENCE_S):
        while True:
            job = (await http.get(f"/runs/{id}")).json()
            if (job["state"], job["attempt"], job["progress"]["done"]) == ("running", attempt, 3):
                return
            await anyio.sleep(0.02)


async def test_a_run_is_started_watched_resumed_and_started_again_under_one_id(daemon: PrivateDaemon) -> None:
    """202 with an id; a second start is 409 and names the first; a repeated request is the same run."""
    gate = daemon.home / "gate"
    arguments = {"count": 8, "gate": str(gate)}
    async with served(daemon) as http:
        made = await http.post("/runs", json=arguments, headers={"Idempotency-Key": "monday"})
        assert made.status_code == 202
        id = made.json()["id"]
        assert made.json()["status"] == f"/runs/{id}"
        again = await http.post("/runs", json=arguments, headers={"Idempotency-Key": "monday"})
        assert (again.status_code, again.json()["id"]) == (202, id)
        other = await http.post("/runs", json=arguments)
        assert (other.status_code, other.json()["kind"], other.json()["id"]) == (409, "KeyConflict", id)
        await held(http, id)
        too_early = await http.post(f"/runs/{id}/resume")
        assert (too_early.status_code, too_early.json()["kind"]) == (409, "ActionRefused")
        gate.touch()
        first = await ended(http, id)
        assert (first["state"], first["progress"]["tallies"]) == ("succeeded", {"sent": 7, "failed": 1})
        (daemon.home / "gate.mended").touch()
        assert (await http.post(f"/runs/{id}/resume?failed_items=1")).status_code == 202
        second = await ended(http, id)
        assert (second["state"], second["progress"]["tallies"]) == ("succeeded", {"sent": 8})
        assert [each["id"] for each in (await http.get("/runs?state=succeeded")).json()] == [id]


async def test_a_run_in_the_way_is_restarted_cancelled_and_its_lock_freed(daemon: PrivateDaemon) -> None:
    """The lock goes by force alone while its run lives, and with it the run."""
    arguments = {"count": 8, "gate": str(daemon.home / "gate")}
    async with served(daemon) as http:
        id = (await http.post("/runs", json=arguments)).json()["id"]
        await held(http, id)
        assert (await http.post(f"/runs/{id}/restart?from_start=1")).status_code == 202
        await held(http, id, attempt=2)
        kept = await http.post("/lock/reset")
        assert (kept.status_code, kept.json()["kind"]) == (409, "LockHeld")
        assert (await http.post("/lock/reset?force=1")).json()["ended"] == id
        assert (await ended(http, id))["state"] == "cancelled"
        other = (await http.post("/runs", json=arguments)).json()["id"]
        await held(http, other)
        assert (await http.post(f"/runs/{other}/cancel?force=1")).status_code == 202
        assert (await ended(http, other))["state"] == "cancelled"


async def test_looks_and_refusals_have_their_status(daemon: PrivateDaemon) -> None:
    """GET changes nothing; what is unknown is 404, what is wrong 422, a daemon that is away 503."""
    async with served(daemon) as http:
        assert (await http.get("/recover")).json()["rows"] == []
        assert (await http.post("/recover?older_than=30m")).json()["rows"] == []
        assert (await http.get("/cleanup")).json()["killed_count"] == 0
        assert (await http.post("/cleanup")).json()["killed_count"] == 0
        assert "it is the spawner" in {each["reason"] for each in (await http.get("/emergency")).json()["processes"]}
        assert (await http.get("/runs/nosuch")).status_code == 404
        assert (await http.get("/recover?older_than=soon")).status_code == 422
        os.kill(daemon.pid, 9)
        daemon.wait()
        assert (await http.get("/runs/nosuch")).status_code == 503
