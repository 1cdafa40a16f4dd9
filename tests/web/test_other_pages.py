"""Locks, queues, schedules, sessions, processes and the daemon: what is shown, what is asked back, what is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from jobkeep.errors import LockHeld, UnknownLock, UnknownSession
from jobkeep.protocol.admin import Change, DrainReply, RecoverReply, ReloadReply
from jobkeep.protocol.locks import Lock, ResetReply
from jobkeep.protocol.processes import CleanupReply, EmergencyReport, Process, Survivor
from jobkeep.protocol.queues import Queue
from jobkeep.protocol.schedules import Schedule
from jobkeep.protocol.sessions import CloseReply, Session
from web.conftest import Site, served
from web.fakes import FakeDaemon

EVIL = "<script>alert(1)</script>"
AT = "2026-03-01T12:00:00Z"
DEED = {"uid": 7, "pid": 1, "at": AT, "reason": "new disk"}


def made(kind: Any, **fields: Any) -> Any:
    return msgspec.convert(fields, kind)


LOCK = made(
    Lock, name="crm", token=4, holder={"kind": "run", "job": "ccc333aaabbb", "run": 2}, acquired_at=AT, age_s=60.0,
    expires_in_s=30.0, stale=True, waiting=3,
)  # fmt: skip
QUEUE = made(
    Queue, name="io", limit=1, configured=2, running=1, queued=4, scheduled=0, paused=DEED, limited=DEED
)  # fmt: skip
SCHEDULE = made(
    Schedule, name="nightly", cron="0 2 * * *", timezone="Europe/Berlin", missed="skip", on_conflict=None,
    configured=False, paused=None, next=["2026-03-02T01:00:00Z"], last={"at": AT, "job": "aaa111"},
    spec={"command": ["./backup.sh", "--token=hunter2", EVIL]},
)  # fmt: skip
SESSION = made(
    Session, name="browser", state="in_use", pid=77, in_use_by={"kind": "client", "pid": 9, "uid": 7}, started_at=AT,
    health="ok", job="bbb222", waiting=1,
)  # fmt: skip


def process(pid: int, **fields: Any) -> Process:
    given = {
        "pid": pid, "command": f"chromium {EVIL}", "family": "browser", "run": "ccc333.1", "verdict": "owned",
        "evidence": ["slot"], "action": "protected", "reason": "its run is under way", "uid": 7, "state": "S",
        "cpu_s": 1.0, "rss_bytes": 5 << 20, "age_s": 60.0,
    }  # fmt: skip
    return msgspec.convert(given | fields, Process)


class Host(FakeDaemon):
    """A daemon that has one of each. `deeds` are what was changed, with their arguments."""

    deeds: list[tuple[Any, ...]]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.deeds = []
        self.orphans = [process(5, verdict="orphan", run=None, action="would_kill")]

    async def locks(self) -> list[Lock]:
        return [LOCK]

    async def lock_info(self, name: str) -> Lock:
        if name != "crm":
            raise UnknownLock(f"there never was a lock {name}", name)
        return LOCK  # type: ignore[no-any-return]

    async def reset_lock(self, name: str, force: bool, reason: str) -> ResetReply:
        if not force:
            raise LockHeld("job ccc333 has the lock crm", name, 1.0, "run", "ccc333", None, None)
        self.deeds.append(("reset", name, reason))
        return ResetReply(LOCK, "ccc333aaabbb")

    async def queues(self) -> list[Queue]:
        return [QUEUE]

    async def schedules(self) -> list[Schedule]:
        return [SCHEDULE]

    async def sessions(self) -> list[Session]:
        return [SESSION]

    async def close_session(self, name: str, force: bool, reason: str) -> CloseReply:
        if name != "browser":
            raise UnknownSession(f"there is no session {name}", name, ["browser"])
        self.deeds.append(("close", name, force))
        return CloseReply(SESSION)

    async def processes(self, orphans: bool, all: bool) -> list[Process]:
        self.asked("processes", (orphans, all))
        return self.orphans if orphans else [process(77), *self.orphans]

    async def cleanup(self, dry_run: bool, reason: str) -> CleanupReply:
        self.deeds.append(("cleanup", dry_run))
        return CleanupReply(len(self.orphans), 1, 1, [], self.orphans, dry_run)

    async def recover(self, check: bool) -> RecoverReply:
        self.deeds.append(("recover", check))
        row = {
            "id": "ccc333aaabbb", "name": "import", "run": 1, "state": "running", "health": "late", "progress": {},
            "labels": {}, "created_at": AT, "stuck_for_s": 4000.0, "verdict": "silent", "action": "fail",
            "reason": "no sign of life",
        }  # fmt: skip
        return msgspec.convert({"rows": [row], "check": check}, RecoverReply)

    async def drain(self, timeout: float) -> DrainReply:
        self.deeds.append(("drain", timeout))
        return DrainReply(True, False, None, [], [], [])

    async def undrain(self) -> bool:
        self.deeds.append(("undrain",))
        return True

    async def reload(self) -> ReloadReply:
        return ReloadReply([Change("jobs.grace", 1, 2)], [Change("locks.ttl", 1, 2)])

    def __getattr__(self, name: str) -> Any:
        async def deed(*given: Any, **options: Any) -> None:
            self.deeds.append((name, *given, *options.values()))

        if name.endswith(("_queue", "_schedule")):
            return deed
        raise AttributeError(name)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def site(host: Host) -> Iterator[Site]:
    with served(host) as site:
        site.enter()
        yield site


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/locks", ["crm", "job ccc333aa, run 2", "held for too long", ">4<"]),
        ("/queues", ["io", "paused", "new disk", "configured: 2", "nightly", "Mon 02 Mar, 02:00", "Berlin", "•••"]),
        ("/processes", ["browser", "in use", "process 9 of uid 7", "orphan", "5.0 MiB", "by slot"]),
        ("/processes?show=orphans", ["orphan"]),
        ("/system", ["3.51.3", "40.0 MiB", "/run/socket", "Drain", "Emergency"]),
    ],
)  # fmt: skip
def test_pages_tell_what_there_is(site: Site, path: str, words: list[str]) -> None:
    """Who has what, since when and why; secrets are masked, and nothing becomes markup."""
    html = site.get(path)
    assert [word for word in words if word not in html] == []
    assert EVIL not in html
    assert "hunter2" not in html


def test_a_lock_is_reset_once_its_name_is_typed(site: Site, host: Host) -> None:
    """Asked back first; a wrong word changes nothing; from a living holder only with force, which is said."""
    assert "Reset lock crm?" in site.post("/locks/reset", alive=False, name="crm")
    assert "had to be typed" in site.post("/locks/reset", 422, alive=False, name="crm", sure="1", word="cmr")
    assert "has the lock" in site.post("/locks/reset", 409, alive=False, name="crm", sure="1", word="crm")
    assert host.deeds == []
    assert site.post("/locks/reset", 303, alive=False, name="crm", sure="1", word="crm", force="1") == "/locks"
    assert host.deeds == [("reset", "crm", "asked for on the dashboard")]
    assert "The run of ccc333aa was ended for it" in site.get("/locks")
    assert "there never was" in site.post("/locks/reset", 404, name=EVIL).lower()


def test_queues_are_paused_limited_and_go_on(site: Site, host: Host) -> None:
    """An empty limit is that of the configuration; what is no number is refused."""
    assert "Queue io is paused" in site.post("/queues/pause", name="io")
    site.post("/queues/limit", name="io", limit="3")
    site.post("/queues/limit", name="io", limit="")
    for wrong in ("0", "-1", "many", "10001", "٣"):
        assert "is no limit" in site.post("/queues/limit", 422, name="io", limit=wrong)
    assert [deed[:3] for deed in host.deeds] == [
        ("pause_queue", "io", "asked for on the dashboard"), ("limit_queue", "io", 3), ("limit_queue", "io", None),
    ]  # fmt: skip
    assert site.post("/queues/explode", 404, name="io")


def test_schedules_are_paused_triggered_and_removed(site: Site, host: Host) -> None:
    """Removing asks back."""
    assert "A job of schedule nightly was submitted" in site.post("/schedules/trigger", name="nightly")
    assert "Remove schedule nightly?" in site.post("/schedules/remove", alive=False, name="nightly")
    assert [deed[0] for deed in host.deeds] == ["trigger_schedule"]
    assert site.post("/schedules/remove", 303, alive=False, name="nightly", sure="1") == "/queues"
    assert [deed[0] for deed in host.deeds] == ["trigger_schedule", "remove_schedule"]


def test_clean_up_shows_whom_it_would_end_first(site: Site, host: Host) -> None:
    """The same look without a change, then a button that does it; with nothing to do it says so."""
    html = site.post("/processes/cleanup", alive=False)
    assert "End 1 process?" in html
    assert "&lt;script&gt;" in html
    assert site.post("/processes/cleanup", 303, alive=False, sure="1") == "/processes"
    assert "1 process ended, 1 protected" in site.get("/processes")
    host.orphans = []
    assert site.post("/processes/cleanup", 303, alive=False) == "/processes"
    assert host.deeds == [("cleanup", True), ("cleanup", False), ("cleanup", True)]


def test_recovery_shows_what_it_would_do_first(site: Site, host: Host) -> None:
    """Check, then the same for good."""
    assert "Recover 1 run?" in site.post("/system/recover", alive=False)
    site.post("/system/recover", 303, alive=False, sure="1")
    assert host.deeds == [("recover", True), ("recover", False)]


def test_a_session_is_closed_after_asking(site: Site, host: Host) -> None:
    """By force only where that was ticked."""
    assert "Close session browser?" in site.post("/sessions/close", alive=False, name="browser")
    site.post("/sessions/close", 303, alive=False, name="browser", sure="1")
    site.post("/sessions/close", 303, alive=False, name="browser", sure="1", force="1")
    assert host.deeds == [("close", "browser", False), ("close", "browser", True)]
    assert "There is no session x" in site.post("/sessions/close", 404, name="x", sure="1")


def test_the_daemon_is_drained_and_reloaded(site: Site, host: Host) -> None:
    """Without waiting; what a reload cannot follow is told."""
    assert "starts nothing more" in site.post("/system/drain")
    assert "starts jobs again" in site.post("/system/undrain")
    assert "At the next start: locks.ttl" in site.post("/system/reload")
    assert host.deeds == [("drain", 0), ("undrain",)]
    site.post("/system/explode", 404)


def test_an_emergency_needs_its_word(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would end is shown; only with the word typed it is done, and then the page says what is left."""
    asked: list[tuple[str, ...]] = []
    found = [process(pid, action="would_kill") for pid in (7001, 7002)]
    report = EmergencyReport(
        dry_run=True, daemon=[7000], killed_count=0, protected_count=1, active_sessions=0, runs=2, sessions=0, locks=0,
        queues=1, processes=[*found, process(7003)], survivors=[Survivor(5, EVIL, "stuck")],
    )  # fmt: skip

    async def emergency(_: object, *words: str) -> EmergencyReport:
        asked.append(words)
        return report

    monkeypatch.setattr("jobkeep.web.acting.host._emergency", emergency)
    asks = site.post("/system/emergency", alive=False)
    assert "end everything?" in asks
    assert "<dt>Processes</dt><dd>2</dd>" in asks  # that would be ended
    assert "7002 (chromium" in asks
    assert "7003" not in asks
    assert "had to be typed" in site.post("/system/emergency", 422, alive=False, sure="1", word="yes")
    html = site.post("/system/emergency", alive=False, sure="1", word="emergency")
    assert "Some of it lives on" in html
    assert EVIL not in html
    assert [words[0] for words in asked] == ["--dry-run", "--yes"]


def test_read_only_has_no_form_on_any_page(host: Host) -> None:
    """And refuses what somebody sends all the same."""
    with served(host, read_only=True) as site:
        site.enter()
        for path in ("/locks", "/queues", "/processes", "/system"):
            assert 'method="post"' not in site.get(path)
        for path in ("/locks/reset", "/queues/pause", "/processes/cleanup", "/system/drain", "/system/emergency"):
            site.post(path, 403, name="io", sure="1", word="emergency")
        assert host.deeds == []


def test_processes_are_not_looked_at_for_every_page(site: Site, host: Host) -> None:
    """A look at a whole host is dear: the next seconds see the same one."""
    for _ in range(3):
        site.get("/processes")
    assert host.count("processes") == 1
    site.get("/processes?show=all")
    assert host.count("processes") == 2
