"""What a daemon that does nothing does not carry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobkeep.testing import PrivateDaemon

HEAVY = ("libcrypto", "libssl", "greenlet")  # files, of which the whole process knows


def run(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="tells by /proc what a process has loaded")
def test_a_daemon_that_waits_has_not_loaded_what_it_never_uses(daemon: PrivateDaemon) -> None:
    """Those who drop in, asyncio, hashlib, structlog and anyio, would load it wherever it is."""
    maps = Path(f"/proc/{daemon.pid}/maps").read_text(encoding="utf-8")
    assert "libpython" in maps or "python3" in maps  # these are the daemon's
    assert [name for name in HEAVY if name in maps] == []


def test_whoever_needs_what_was_left_out_can_have_it() -> None:
    """A name that was hidden for the time of our imports is the real thing afterwards."""
    program = (
        "import sys; from jobkeepd import lean; lean.import_dependencies(); import jobkeepd.main;"
        "print({'rich', 'greenlet', 'ssl', '_hashlib', 'structlog'} & set(sys.modules));"
        "import ssl, rich; print(ssl.create_default_context().verify_mode.name)"
    )
    assert run(program) == ["{'structlog'}", "CERT_REQUIRED"]


def test_what_is_there_already_stays() -> None:
    """Where the daemon is a part of a larger program, nothing is taken from that."""
    program = (
        "import ssl, asyncio; from jobkeepd import lean; lean.import_dependencies();"
        "import sys; from anyio.streams import tls;"
        "print(sys.modules['ssl'] is ssl is tls.ssl, asyncio.base_events.ssl is ssl)"
    )
    assert run(program) == ["True", "True"]


def test_hashes_are_the_same_without_openssl() -> None:
    """What is stored under a hash is found by every release and every build of Python."""
    program = (
        "from jobkeepd import lean; lean.import_dependencies(); import hashlib, hmac;"
        "print(hashlib.sha256(b'x').hexdigest(), hmac.digest(b'k', b'x', 'sha256').hex())"
    )
    plain = "import hashlib, hmac; print(hashlib.sha256(b'x').hexdigest(), hmac.digest(b'k', b'x', 'sha256').hex())"
    assert run(program) == run(plain)
