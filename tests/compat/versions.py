"""What each release has left here: a folder of its own, never changed once it is released."""

from __future__ import annotations

import json
from pathlib import Path

RELEASES = Path(__file__).with_name("releases")
SCHEMAS = Path(__file__).with_name("schemas")  # of the database, by their numbers
VERSIONS = sorted(path for path in RELEASES.iterdir() if path.is_dir())


def worker_protocol(version: Path) -> int:
    """The newest that its workers and its daemon spoke."""
    return int(json.loads((version / "protocols.json").read_bytes())["worker"])
