"""One job at length in `jobkeep top`: why it does not move, all facts, which key does what, and its output. Pure."""

from __future__ import annotations

from jobkeep.cli.render.job import body
from jobkeep.cli.render.style import BOLD, DIM, Style
from jobkeep.cli.render.text import escape
from jobkeep.cli.top.board import Seen
from jobkeep.cli.top.verbs import possibilities


def facts(seen: Seen, style: Style) -> list[str]:
    """All about it; longer than the screen, maybe."""
    if seen.job is None:
        return [escape(seen.refused or "…")]
    shown = body(seen.job, seen.failed, style)
    reasons = (seen.explained or {}).get("reasons") or []
    if reasons:
        shown[2:2] = [f"  - {escape(reason['text'])}" for reason in reasons]
    shown += ["", style.paint("keys:", BOLD), *possibilities(seen.job, style)]
    return shown


def output(seen: Seen, style: Style) -> list[str]:
    """The last lines of what it has printed; of both streams, if it has used both."""
    shown = []
    streams = {stream: said for stream, said in seen.output.items() if said}
    for stream, said in streams.items():
        shown += [style.paint(f"{stream}:", DIM), *said] if len(streams) > 1 else said
    return shown
