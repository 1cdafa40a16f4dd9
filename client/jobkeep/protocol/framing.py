"""Varlink framing: JSON texts, each ended by one NUL byte. Standard library only, since fast commands use it."""

from jobkeep.errors import MessageTooLarge

NUL = b"\0"


class FrameSplitter:
    """Cuts a byte stream into messages, however it arrives. Holds at most `limit` bytes of an unfinished one."""

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""

    @property
    def pending(self) -> int:
        """Bytes of the unfinished message."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes, without their NUL. Raises MessageTooLarge; then the stream is lost."""
        if self._rest:
            data = self._rest + data
        *messages, self._rest = data.split(NUL)
        if len(self._rest) > self._limit or any(len(message) > self._limit for message in messages):
            raise MessageTooLarge(self._limit)
        return messages
