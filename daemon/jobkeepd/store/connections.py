"""The connections of a store: one writes, one reads, one runs users' queries. Made together, or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import aiosqlite

from jobkeepd.errors import Corrupt, StorageFailed
from jobkeepd.store import opening, trouble, user_query
from jobkeepd.store.room import check_room, is_out_of_room
from jobkeepd.store.writer import connect, in_thread, let_go

Connections: TypeAlias = tuple[aiosqlite.Connection, aiosqlite.Connection, aiosqlite.Connection]


async def connect_all(
    path: Path, migrations: Sequence[Sequence[str]]
) -> tuple[Connections, opening.Opened]:
    """Raises what SqliteStore.open does."""
    connections: list[aiosqlite.Connection] = []
    try:
        check_room(path)
        connections.append(await connect(path))
        opened = await in_thread(connections[0], partial(opening.prepare, path=path, migrations=migrations))
        for _ in range(2):
            connections.append(await connect(path, readonly=True))
            await in_thread(connections[-1], partial(opening.set_pragmas, pragmas=opening.READER_PRAGMAS))
        await in_thread(connections[2], user_query.restrict)
    except BaseException as error:
        failure = error
        if isinstance(error, sqlite3.Error):
            failure = trouble.on_opening(path, error, full=is_out_of_room(error, path))
        if connections and isinstance(failure, Corrupt | StorageFailed):
            await in_thread(connections[0], partial(let_go, path=path))
        for connection in connections:
            await connection.close()
        if failure is error:
            raise
        raise failure from error
    main, reader, user = connections
    return (main, reader, user), opened
