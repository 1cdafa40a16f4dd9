"""No-op functions on RQ: two processes with a SimpleWorker each, over a Redis server on a Unix socket."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

from redis import Redis
from rq import Queue, SimpleWorker
from serve import serve

WORKERS = 2


def noop() -> bool:
    return True


def work(queue: Queue) -> None:
    logging.disable(logging.CRITICAL)
    SimpleWorker([queue], connection=queue.connection).work(logging_level="CRITICAL")


def run(queue: Queue, count: int) -> None:
    """Enqueued in one pipeline; back when each job is in the registry of finished ones."""
    before = queue.finished_job_registry.count
    queue.enqueue_many([Queue.prepare_data("rq_redis.noop", result_ttl=3600) for _ in range(count)])
    while queue.finished_job_registry.count < before + count:
        time.sleep(0.02)  # often enough; more would take the machine from its workers


def main(folder: Path, server: str) -> None:
    """Without persistence, which is the fastest that it can be."""
    socket = str(folder / "redis.socket")
    options = ["--unixsocket", socket, "--port", "0", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    processes = [subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)]
    queue = Queue(connection=Redis(unix_socket_path=socket))
    while not Path(socket).exists():
        time.sleep(0.01)
    processes += [subprocess.Popen([sys.executable, __file__, str(folder), server, "worker"]) for _ in range(WORKERS)]
    try:
        run(queue, 2 * WORKERS)
        serve(lambda count: run(queue, count))
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    if sys.argv[3:] == ["worker"]:
        work(Queue(connection=Redis(unix_socket_path=str(Path(sys.argv[1]) / "redis.socket"))))
    else:
        main(Path(sys.argv[1]), sys.argv[2])
