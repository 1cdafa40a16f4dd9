"""Another client, in a process of its own: asks the daemon again and again, and says how long each answer took.

`python -m hostile.bystander SOCKET JOB`, until its input ends. Calls of each kind take turns on one connection; every
twentieth is made over a new one.
"""

from __future__ import annotations

import json
import select
import sys
import time
from contextlib import suppress

from jobkeep.client.plain import PlainConnection
from jobkeep.errors import JobkeepError

PAUSE = 0.005


def main(path: str, job: str) -> None:
    calls = [
        ("org.varlink.service.GetInfo", b"{}"),
        ("org.jobkeep.Jobs.Get", json.dumps({"id": job}).encode()),
        ("org.jobkeep.Jobs.List", b'{"limit":20,"label":{"of":"bystander"}}'),
        ("org.jobkeep.Admin.Status", b"{}"),
    ]
    took: list[float] = []
    slowest = (0.0, "")
    lost = 0
    connection = PlainConnection(path, 30.0)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        method, parameters = calls[len(took) % len(calls)]
        began = time.monotonic()
        try:
            if len(took) % 20 == 19:
                connection.close()
                connection = PlainConnection(path, 30.0)
            answer = json.loads(connection.call(method, parameters))
            assert "error" not in answer, answer
        except JobkeepError:
            lost += 1
            with suppress(JobkeepError):
                connection = PlainConnection(path, 30.0)
        took.append(time.monotonic() - began)
        slowest = max(slowest, (took[-1], method))
    print(json.dumps({"took": took, "lost": lost, "slowest": slowest[1].rpartition(".")[2]}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
