"""Credentials of the daemon (LoadCredential= of systemd.exec(5)), as files in a directory of each job's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Sequence
from typing import Final

from jobkeepd.errors import StartFailed

VARIABLE: Final = "CREDENTIALS_DIRECTORY"  # the same name for the daemon and for jobs
LARGEST: Final = 1 << 20  # bytes; systemd's own limit for all of them together


class Credentials:
    """`source` is the daemon's directory, None where it was given none; it is read anew for each run."""

    def __init__(self, source: str | None, runtime: str) -> None:
        self._source = source
        self._folder = f"{runtime}/credentials"

    def path(self, job: str) -> str:
        """Where the job finds its own, whatever becomes of runs and daemons."""
        return f"{self._folder}/{job}"

    def lay_out(self, job: str, names: Sequence[str]) -> None:
        """Put them there, as they are now. Raises StartFailed, and leaves nothing then."""
        known = self._known()
        if missing := [name for name in names if name not in known]:
            there = f"there is {', '.join(known) or 'none'} (LoadCredential= of its unit)"
            raise StartFailed("credentials", f"the daemon has no credential {missing[0]}; {there}")
        self.remove(job)
        try:
            os.makedirs(self._folder, 0o700, exist_ok=True)
            os.mkdir(self.path(job), 0o700)
            for name in names:
                self._copy(name, f"{self.path(job)}/{name}")
        except OSError as error:
            self.remove(job)
            raise StartFailed("credentials", f"its credentials cannot be handed over: {error.strerror}") from None

    def remove(self, job: str) -> None:
        """Nothing of the run is left that could read them."""
        shutil.rmtree(self.path(job), ignore_errors=True)

    def sweep(self, needed: Collection[str]) -> None:
        """Remove those of all other jobs: a daemon has died before it could."""
        if os.path.isdir(self._folder):
            for job in set(os.listdir(self._folder)) - set(needed):
                self.remove(job)

    def _known(self) -> list[str]:
        try:
            return [] if self._source is None else sorted(os.listdir(self._source))
        except OSError:
            return []

    def _copy(self, name: str, target: str) -> None:
        with open(f"{self._source}/{name}", "rb") as file:
            content = file.read(LARGEST)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        with open(fd, "wb") as copy:
            copy.write(content)
