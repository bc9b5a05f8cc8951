"""Charts of characters: bars that lie, and columns that stand. They read the same without colours, and in ASCII.

Pure: texts in, texts with styles out; whoever prints them knows the terminal.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text


class Glyphs(NamedTuple):
    """What charts are drawn with.

    Attributes:
        bar, column: from the least to the fullest cell; nothing in between in ASCII.
        failed: a cell of what failed, which must differ without colour.
        axis, corner, line: of the axes.
    """

    bar: str
    column: str
    failed: str
    axis: str
    corner: str
    line: str


BLOCKS = Glyphs("▏▎▍▌▋▊▉█", "▁▂▃▄▅▆▇█", "░", "┤", "└", "─")
ASCII = Glyphs("#", "#", "x", "|", "+", "-")


def bar(number: int, greatest: int, width: int, glyphs: Glyphs) -> str:
    """Give a bar whose length is to the width as the number to the greatest; one that is not 0 can be seen."""
    return _filled(number, greatest, width, glyphs.bar) if number and greatest else ""


def _filled(number: int, greatest: int, cells: int, ramp: str) -> str:
    """Fill cells by their eighths, or the ramp's own fractions; at least the least of them."""
    steps = max(round(number * cells * len(ramp) / greatest), 1)
    full, rest = divmod(steps, len(ramp))
    return ramp[-1] * full + (ramp[rest - 1] if rest else "")


def columns(  # noqa: PLR0913 - all but the first two are by name
    values: Sequence[tuple[int, int]],
    ends: tuple[str, str],
    *,
    width: int,
    height: int,
    glyphs: Glyphs,
    styles: tuple[str, str],
) -> list[Text]:
    """Give columns of what succeeded, what failed standing on it, over a line; at the left, the scale.

    Args:
        values: for each column, from left to right, how many succeeded and how many failed.
        ends: what the first and the last column are of, to stand below them.
        width: cells that there are in all; columns that do not fit are left out at the left.
        height: cells of the highest column.
        styles: of what succeeded and of what failed.
    """
    greatest = max([succeeded + failed for succeeded, failed in values], default=0)
    scale = f"{greatest:,}"
    margin, room = " " * (len(scale) + 2), width - len(scale) - 2
    values = values[-room:]
    each, gap = _spread(len(values), room)
    drawn = [_column(succeeded, failed, greatest, height, glyphs) for succeeded, failed in values]
    lines = []
    for row in reversed(range(height)):
        line = Text(f"{scale} {glyphs.axis}" if row == height - 1 else margin)
        for cells in drawn:
            glyph = cells[row] if row < len(cells) else " "
            line.append(glyph * each, styles[glyph == glyphs.failed]).append(" " * gap)
        line.rstrip()
        lines.append(line)
    breadth = len(values) * (each + gap) - gap
    between = breadth - sum(map(len, ends))
    lines.append(Text(f"{'0':>{len(scale)}} {glyphs.corner}{glyphs.line * breadth}"))
    lines.append(Text(margin + (ends[0] + " " * between + ends[1] if between > 0 else " to ".join(ends))))
    return lines


def _spread(count: int, room: int) -> tuple[int, int]:
    """Give the cells of a column, and those between two."""
    for each, gap in ((3, 1), (2, 1), (1, 1)):
        if count * (each + gap) <= room:
            return each, gap
    return 1, 0


def _column(succeeded: int, failed: int, greatest: int, height: int, glyphs: Glyphs) -> str:
    """Give a column's cells from the ground up. Beside what failed, which takes whole cells, all cells are whole."""
    if not failed:
        return _filled(succeeded, greatest, height, glyphs.column) if succeeded else ""
    above = max(round(failed * height / greatest), 1)
    below = max(round((succeeded + failed) * height / greatest) - above, min(succeeded, 1))
    return glyphs.column[-1] * min(below, height - 1) + glyphs.failed * min(above, height - below)
