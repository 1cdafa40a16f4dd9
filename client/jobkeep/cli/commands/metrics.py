"""Print what the daemon has counted, and what is so now, in the text of OpenMetrics: for Prometheus."""

from __future__ import annotations

import os

from jobkeep.cli.failures import FAILED, OK, USAGE, Failure, UsageError
from jobkeep.cli.wire import ADMIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from typing import Any

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
jobkeep metrics                            for a scraper that runs commands
jobkeep metrics --textfile /var/lib/node_exporter/jobkeep.prom
                                           for node_exporter's textfile collector; from a timer, each 15 s, say

Counters begin anew with each daemon. The file appears whole or not at all, readable by everybody. --json prints the
families as the daemon sends them, and needs nothing; the text needs `pip install 'jobkeep[metrics]'`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--textfile", metavar="PATH", help="write to this file instead, by rename")


def run(context: Context, arguments: Options) -> int:
    families = context.link.call(ADMIN + "Metrics")["families"]
    if arguments.json:
        context.print_json(families)
        return OK
    if arguments.textfile is None:
        context.print(text(families, openmetrics=True).rstrip("\n"))
    else:
        write(arguments.textfile, text(families, openmetrics=False))
    return OK


class Collected:
    """As prometheus-client wants to have them."""

    def __init__(self, metrics: list[Any]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Any]:
        return self._metrics


def text(families: list[dict[str, Any]], *, openmetrics: bool) -> str:
    """In the format of OpenMetrics, or in that of Prometheus, which node_exporter reads. Raises Failure."""
    try:
        from prometheus_client import exposition
        from prometheus_client.metrics_core import Metric
        from prometheus_client.openmetrics import exposition as open_exposition
    except ImportError:
        raise UsageError(
            "the text of OpenMetrics needs prometheus-client, which is not installed here",
            "pip install 'jobkeep[metrics]', or --json, which needs nothing",
        ) from None
    metrics = []
    for family in families:
        metric = Metric(family["name"], family["help"], family["kind"])
        for sample in family["samples"]:
            metric.add_sample(family["name"] + sample["suffix"], sample["labels"], sample["value"])
        metrics.append(metric)
    generate = open_exposition.generate_latest if openmetrics else exposition.generate_latest
    said: bytes = generate(Collected(metrics))
    return said.decode()


def write(path: str, said: str) -> None:
    """Whoever reads the folder finds the old file or the new one."""
    fresh = f"{path}.{os.getpid()}.new"  # no *.prom: the collector must not read it
    try:
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(said)
        os.replace(fresh, path)
    except OSError as error:
        if os.path.exists(fresh):
            os.unlink(fresh)
        wrong = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError | PermissionError)
        code = USAGE if wrong else FAILED
        raise Failure(f"{error.strerror}: {path}", code, "the folder has to be there, and writable") from None
