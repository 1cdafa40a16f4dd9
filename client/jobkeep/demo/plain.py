"""The same batch without jobkeep, in a process of its own: what the tallies have to be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from jobkeep.demo.batch import parse_plainly


class PlainPass:
    """Parses all files beside the job, on the other core; ended if it is not waited for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jobkeep.demo.plain", str(self._root)], stdout=subprocess.PIPE
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def tallies(self) -> dict[str, int]:
        """Wait for the end, and what it came to."""
        out, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise SystemExit(f"error: the plain pass ended with status {self._process.returncode}")
        return {str(name): int(count) for name, count in json.loads(out).items()}


if __name__ == "__main__":
    print(json.dumps(parse_plainly(sys.argv[1])))
