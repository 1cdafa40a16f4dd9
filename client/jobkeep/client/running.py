"""Which event loop runs, and so which implementation of the transport the client takes."""

from __future__ import annotations

import sys

from jobkeep.client.transport import Network


def running_network() -> Network:
    """The network of the event loop that runs: asyncio's own, or anyio's for the others."""
    if "asyncio" in sys.modules:  # nobody runs asyncio without having imported it
        import asyncio

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            from jobkeep.client.native import AsyncioNetwork

            return AsyncioNetwork()
    from jobkeep.client.portable import AnyioNetwork

    return AnyioNetwork()
