"""The chart of `make bench`: for each promise, how much of it is kept. SVG without any library."""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.sax.saxutils import escape

from bench.measure import Bound, Figure

LEFT, RIGHT, TOP, LINE, FOOT = 200, 250, 84, 22, 50
PLOT = 430
LEAST, MOST = 0.25, 8.0  # of the axis, which is logarithmic
TICKS = (0.25, 0.5, 1, 2, 4, 8)
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a } .name, .title { fill: #24292f } .title { font-size: 15px }
.grid { stroke: #8c959f; stroke-opacity: .35 } .promise { stroke: #57606a; stroke-width: 2 }
.held { fill: #1a7f5a } .missed { fill: #c2410c } .word { text-anchor: end }
@media (prefers-color-scheme: dark) {
  text { fill: #9aa4af } .name, .title { fill: #e6edf3 } .promise { stroke: #9aa4af }
  .held { fill: #3fb68b } .missed { fill: #f0883e } }
"""


class Bar(NamedTuple):
    """One promise. `kept` is 1 where it is just kept, 2 where it is kept twice over."""

    name: str
    kept: float
    held: bool
    measured: str
    promised: str


def bars(figures: list[Figure]) -> list[Bar]:
    """Of those with a promise, in their order."""
    shown = []
    for figure in figures:
        if figure.held is not None:
            share = kept(figure.bound, figure.ours, figure.ratio)
            shown.append(Bar(figure.name, share, figure.held, measured(figure), str(figure.bound)))
    return shown


def kept(bound: Bound, ours: float, ratio: float) -> float:
    """How much of the promise; by the easier side of one with two."""
    shares = (
        bound.ratio_at_most and bound.ratio_at_most / ratio,
        bound.ratio_at_least and ratio / bound.ratio_at_least,
        bound.at_most and bound.at_most / ours,
        bound.at_least and ours / bound.at_least,
    )
    return max(share for share in shares if share is not None)


def measured(figure: Figure) -> str:
    bound = figure.bound
    if bound.ratio_at_most is None and bound.ratio_at_least is None:
        return f"{figure.ours:,.0f} {figure.unit}"
    return f"{figure.ratio:.2f} ×" if figure.ratio < 100 else f"{figure.ratio:.0f} ×"


def svg(shown: list[Bar], conditions: str) -> str:
    """Bars begin at the promise: to the right they keep more than it, to the left less."""
    bottom = TOP + LINE * len(shown)
    width, height = LEFT + PLOT + RIGHT, bottom + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="How much of each promise about speed and memory is kept">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="12" y="24">Speed and memory: measured against what is promised</text>',
        f'<text x="12" y="42">{escape(conditions)}</text>',
        *_axis(bottom),
        *(line for number, bar in enumerate(shown) for line in _row(bar, TOP + LINE * number)),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _axis(bottom: int) -> list[str]:
    lines = []
    for tick in TICKS:
        x = _x(tick)
        kind = "promise" if tick == 1 else "grid"
        lines.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}"/>')
        lines.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g} ×</text>')
    label = "how much of the promise is kept (1 × = just kept; logarithmic)"
    lines.append(f'<text x="{LEFT + PLOT / 2}" y="{bottom + 36}" text-anchor="middle">{label}</text>')
    lines.append(f'<text class="word" x="{LEFT + PLOT + 95}" y="{TOP - 12}">measured</text>')
    lines.append(f'<text class="word" x="{LEFT + PLOT + 190}" y="{TOP - 12}">promised</text>')
    return lines


def _row(bar: Bar, top: int) -> list[str]:
    left, right = sorted((_x(1), _x(bar.kept)))
    base = top + 15
    verdict = "holds" if bar.held else "NO"
    kind = "held" if bar.held else "missed"
    return [
        f'<text class="name word" x="{LEFT - 12}" y="{base}">{escape(bar.name)}</text>',
        f'<rect class="{kind}" x="{left:.1f}" y="{top + 5}" width="{max(right - left, 1.5):.1f}" height="12" rx="2"/>',
        f'<text class="name word" x="{LEFT + PLOT + 95}" y="{base}">{escape(bar.measured)}</text>',
        f'<text class="word" x="{LEFT + PLOT + 190}" y="{base}">{escape(bar.promised)}</text>',
        f'<text class="{kind}" x="{LEFT + PLOT + 202}" y="{base}">{verdict}</text>',
    ]


def _x(share: float) -> float:
    bounded = min(max(share, LEAST), MOST)
    return LEFT + PLOT * math.log(bounded / LEAST) / math.log(MOST / LEAST)
