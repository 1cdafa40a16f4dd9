"""What differs between the two sides of a cluster, for people: an error there is mostly that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

WITHIN_S: Final = 2.0
EXACT: Final = ("jobkeep", "distributed", "dask", "cloudpickle", "msgspec")  # of one release on both sides


async def differences(client: Any) -> str:
    """A sentence for the end of an error, or nothing where nothing differs, or nobody says."""
    with suppress(Exception):  # it is the error that counts
        async with asyncio.timeout(WITHIN_S):
            found = list(compared(await client.get_versions(packages=list(EXACT))))
            if found:
                return f"; {', '.join(found)}: install the same releases on both sides"
    return ""


def compared(versions: Mapping[str, Any]) -> Iterator[str]:
    """Each difference once, by the first who has it."""
    here = _packages(versions["client"])
    there = {"the scheduler": versions["scheduler"], **versions["workers"]}
    for name in ("python", *EXACT):
        for where, side in there.items():
            has = _packages(side).get(name)
            if where == "the scheduler" and name in ("jobkeep", "msgspec"):
                continue  # which it does not need
            if has != here.get(name):
                yield f"{name} is {here.get(name) or 'missing'} here and {has or 'missing'} on {where}"
                break


def _packages(side: Mapping[str, Any] | None) -> dict[str, str]:
    """Of Python two numbers are enough."""
    packages = dict((side or {}).get("packages") or {})
    python = packages.get("python")
    return {**packages, "python": ".".join(python.split(".")[:2])} if python else packages
