"""How urgent a line on stderr is, where that is systemd's journal: `journalctl -p err` finds it by that."""

from __future__ import annotations

import os
from typing import Final

_STDERR: Final = 2
# Of syslog(3). systemd takes them off a line again (SyslogLevelPrefix= of systemd.exec(5)).
_PRIORITIES: Final = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>", "critical": "<2>"}


def marks(line: str, level: str) -> str:
    """`line` as the journal wants it; as it is for all other readers."""
    return _PRIORITIES.get(level, "") + line if is_reading() else line


def is_reading() -> bool:
    """Whether stderr is the stream that the variable names: who has redirected it has inherited the variable alone."""
    named = os.environ.get("JOURNAL_STREAM")
    if named is None:
        return False
    try:
        there = os.fstat(_STDERR)
    except OSError:
        return False
    return named == f"{there.st_dev}:{there.st_ino}"
