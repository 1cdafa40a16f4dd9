"""How much room a disk has: for quick commands, too, so it imports nothing else."""

from __future__ import annotations

import os


def room(folder: str) -> tuple[int, int, int | None] | None:
    """Bytes that are free, bytes in all, and free inodes where they are counted; None where we may not look."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, found.f_favail if found.f_files else None
