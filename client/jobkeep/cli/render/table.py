"""Tables: aligned columns, cut to the width of the terminal."""

from __future__ import annotations

from jobkeep.cli.render.style import BOLD, Style
from jobkeep.cli.render.text import clip, pad, width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

Cell = tuple[str, str | None]  # text (escaped already) and its colour
GAP = 2


def table(
    titles: Sequence[str], rows: Sequence[Sequence[Cell]], style: Style, flexible: int = 0, spare: Sequence[int] = ()
) -> list[str]:
    """Lines of a table. Too wide: empty columns go, then `spare` ones, first one first, then `flexible` shrinks."""
    kept = list(range(len(titles)))
    widths = [max([width(title), *(width(row[i][0]) for row in rows)]) for i, title in enumerate(titles)]
    if style.width is not None:
        for column in [i for i in kept if i != flexible and rows and not any(row[i][0] for row in rows)]:
            if _total([widths[i] for i in kept]) > style.width:
                kept.remove(column)
        for column in [i for i in spare if i in kept]:
            # The flexible column may shrink to 12 before another one has to go.
            least = _total([min(widths[i], 12) if i == flexible else widths[i] for i in kept])
            if least > style.width:
                kept.remove(column)
        excess = _total([widths[i] for i in kept]) - style.width
        if excess > 0:
            widths[flexible] = max(widths[flexible] - excess, min(widths[flexible], 4))
    head = [(title, BOLD) for title in titles]
    return [_line([row[i] for i in kept], [widths[i] for i in kept], style) for row in [head, *rows]]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _line(cells: Sequence[Cell], widths: Sequence[int], style: Style) -> str:
    room = style.width
    parts = []
    for index, ((text, colour), columns) in enumerate(zip(cells, widths, strict=True)):
        if room is not None:
            columns = min(columns, max(room, 0))
            room -= columns + GAP
        text = clip(text, columns)
        padding = pad(text, columns)[len(text) :] if index < len(widths) - 1 else ""
        parts.append(style.paint(text, colour) + padding)
    return (" " * GAP).join(parts).rstrip()


def fields(pairs: Sequence[tuple[str, str]], style: Style) -> list[str]:
    """`name  value` lines with the values aligned; pairs without a value are left out."""
    shown = [(name, value) for name, value in pairs if value]
    columns = max((width(name) for name, _ in shown), default=0)
    return [f"  {style.paint(pad(name, columns), BOLD)}  {value}" for name, value in shown]
