"""One process of a map's local crew: it works off bundles until nobody is at the other end of its socket."""

from __future__ import annotations

import pickle
import socket
import sys
from contextlib import suppress
from io import BufferedRWPair
from typing import Any

from jobkeep.sdk.crew import Done, work_off


def main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as ours:
        stream = ours.makefile("rwb")
    with suppress(EOFError, OSError, KeyboardInterrupt):
        serve(stream)


def serve(stream: BufferedRWPair) -> None:
    path, function = pickle.loads(pickle.load(stream))  # noqa: S301 - of our own parent
    sys.path[:] = path
    while True:
        items: bytes = pickle.load(stream)  # noqa: S301 - as above
        pickle.dump(answered(function, items), stream)
        stream.flush()


def answered(function: bytes, items: bytes) -> bytes:
    """What came of them, or why this cannot be told."""
    try:
        loaded: Any = pickle.loads(function)  # noqa: S301 - as above
        return pickle.dumps(work_off(loaded, pickle.loads(items)))  # noqa: S301 - as above
    except Exception as error:  # noqa: BLE001 - modules, items and labels of the job
        return pickle.dumps(Done(broken=TypeError(f"a process of the map cannot do its items: {error}")))


if __name__ == "__main__":
    main()
