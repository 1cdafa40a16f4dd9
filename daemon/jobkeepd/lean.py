"""What the daemon has no use for, though what it uses would load it: OpenSSL (4.5 MiB), rich (4), greenlet (1)."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType

_UNUSED = ("rich", "greenlet", "ssl", "_hashlib")


class _Blank(ModuleType):
    """Its names are good for being mentioned."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


def import_dependencies() -> None:
    """Import what would load them while they cannot be; afterwards they can be, by whoever does need them.

    structlog can do without rich and greenlet, asyncio without ssl, and hashlib has Python's own hashes, unless its
    distributor has left those out. anyio alone insists on ssl, to mention it in annotations.
    """
    own_hashes = any(find_spec(name) for name in ("_sha256", "_sha2"))
    hidden = {name: None for name in _UNUSED if name not in sys.modules and (own_hashes or name != "_hashlib")}
    sys.modules.update(hidden)  # type: ignore[arg-type]  # None: it cannot be imported
    try:
        import asyncio  # noqa: F401
        import hashlib  # noqa: F401
        import hmac  # noqa: F401

        import structlog  # noqa: F401

        if "ssl" in hidden:
            sys.modules["ssl"] = _Blank("ssl")
        from anyio import connect_unix  # noqa: F401
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
