"""Varlink framing: JSON texts, each ended by one NUL byte. Standard library only, since fast commands use it."""

from jobkeep.errors import MessageTooLarge

NUL = b"\0"


class FrameSplitter:
    """Cuts a byte stream into messages, however it arrives. Holds at most `limit` bytes of an unfinished one."""

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of the unfinished message."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes, without their NUL. Raises MessageTooLarge; then the stream is lost."""
        whole = len(self._rest) + len(data)
        *messages, rest = data.split(NUL)
        if self._rest and messages:
            messages[0] = bytes(self._rest) + messages[0]
            self._rest.clear()
        if rest:
            self._rest += rest  # in pieces of a byte, too, each byte is copied once
        if whole > self._limit and max(len(self._rest), *map(len, messages), 0) > self._limit:
            raise MessageTooLarge(self._limit)
        return messages
