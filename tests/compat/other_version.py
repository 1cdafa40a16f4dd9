"""A daemon as another version would be: `python other_version.py SLOTS OLDEST NEWEST [ARGUMENTS of jobkeepd]`.

SLOTS is the protocol of its spawner and slots, OLDEST to NEWEST are those of the workers that it understands.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jobkeep.protocol import worker
from jobkeepd.spawner import record


def main(slots: int, oldest: int, newest: int, arguments: list[str]) -> int:
    worker.OLDEST, worker.PROTOCOL = oldest, newest  # type: ignore[misc]
    script = spawner_of(Path(os.environ["JOBKEEP_DAEMON_STATE_DIR"]), slots)
    record.PROTOCOL = slots

    from jobkeepd.main import run  # only now: the constants are read as modules are loaded
    from jobkeepd.runner import spawner_link

    spawner_link._SCRIPT = str(script)
    return run(arguments)


def spawner_of(folder: Path, protocol: int) -> Path:
    """The spawner's script as it is, but for its version."""
    code = folder / f"slots-{protocol}/spawner"
    code.mkdir(parents=True, exist_ok=True)
    for path in Path(record.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        text = text.replace(f"\nPROTOCOL = {record.PROTOCOL}\n", f"\nPROTOCOL = {protocol}\n")
        (code / path.name).write_text(text, encoding="utf-8")
    return code / "spawner.py"


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:4]), sys.argv[4:]))
