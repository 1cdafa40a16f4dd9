"""What a client asks of the daemon about its configuration and its database."""

from __future__ import annotations

from os import PathLike

from jobkeep.blocking.channel import BlockingChannel
from jobkeep.client import requests
from jobkeep.protocol.admin import BackupReply, CheckReply, ReloadReply


class BlockingUpkeep:
    """The part of a client that whoever operates the daemon needs."""

    _channel: BlockingChannel

    def reload(self) -> ReloadReply:
        """Have the daemon read its configuration again. With `problems` nothing has changed; `restart` is what only a
        restart makes true.
        """
        return self._channel.ask(requests.reload())

    def backup(self, file: str | PathLike[str], *, force: bool = False) -> BackupReply:
        """Copy the database, as of one moment and while it goes on, into a file of the daemon's user: whole, checked,
        on the disk. `force` replaces a file that is there. Raises InvalidRequest, which says what is in the way.
        """
        return self._channel.ask_apart(lambda: requests.backup(file, force))

    def check(self) -> CheckReply:
        """Read all of the database; `problems` is empty where it is well."""
        return self._channel.ask_apart(requests.check)
