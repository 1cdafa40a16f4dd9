"""What is vendored is what it says, and belongs to the wheel."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from web.conftest import Site

STATIC = Path(__file__).resolve().parents[2] / "client/jobkeep/web/static"


def test_files_of_others_are_unchanged() -> None:
    """Each has the checksum that is on record, and a licence beside it."""
    lines = (STATIC / "CHECKSUMS").read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        digest, name = line.split()
        assert sha256((STATIC / name).read_bytes()).hexdigest() == digest, name


def test_what_pages_load_is_there(site: Site) -> None:
    """Scripts, style and icon, with their types; nothing above the folder."""
    kinds = {"app.js": "javascript", "app.css": "css", "htmx.min.js": "javascript", "icon.svg": "svg"}
    for name, kind in kinds.items():
        reply = site.ask(f"/static/{name}")
        assert reply.status_code == 200
        assert kind in reply.headers["content-type"]
    assert site.ask("/static/../app.py").status_code == 404
    assert site.ask("/static/%2e%2e/app.py").status_code == 404
