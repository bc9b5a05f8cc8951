"""Lines of cells under a heading: aligned and uncut for a pipe, coloured and as wide as the terminal for people.

Rich's own table needs all rows at once and a millisecond for each; this one is told the widths, and then goes line by
line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from console.output import printable

GAP = 2  # spaces between two columns
MISSING = "-"

STYLES = {"Succeeded": "green", "Accepted": "yellow", "Deleting": "yellow", "Failed": "bold red", "Deleted": "dim"}
"""How a state looks, in every command."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        least: the cells to which it may be cut where the terminal is narrow.
        first: whether it is cut before the others are.
    """

    heading: str
    least: int
    first: bool = False


def cell(text: str | None) -> str:
    """Give a text as it can stand in a cell: on one line, and harmless to a terminal."""
    if not text or text.isspace():
        return MISSING
    return text if text.isprintable() else " ".join(printable(text).split())


def width(text: str) -> int:
    """Count the terminal's cells that a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def widen(widths: list[int], cells: Sequence[str]) -> None:
    """Make columns wide enough for one more line."""
    for number, text in enumerate(cells):
        if (needed := width(text)) > widths[number]:
            widths[number] = needed


def fit(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Narrow columns until the line fits: those that come first, then the others, the roomiest of them at a time."""
    found = list(widths)
    for first in (True, False):
        numbers = [number for number, column in enumerate(columns) if column.first == first]
        while sum(found) + GAP * (len(found) - 1) > room:
            number = max(numbers, key=lambda each: found[each] - columns[each].least)
            if found[number] <= columns[number].least:
                break
            found[number] -= 1
    return found


def plain(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Give a line with nothing cut and no colours."""
    padded = [text + " " * (wide - width(text)) for text, wide in zip(cells[:-1], widths[:-1], strict=True)]
    return (" " * GAP).join([*padded, cells[-1]])


def coloured(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    """Give a line whose first cell has a style, cut to the widths; what was cut ends in an ellipsis."""
    line = Text(no_wrap=True, overflow="crop", end="")
    for number, (text, wide) in enumerate(zip(cells, widths, strict=True)):
        if width(text) > wide:
            line.append(set_cell_size(text, max(wide - 1, 0)) + "…", style if number == 0 else "")
        else:
            line.append(set_cell_size(text, wide), style if number == 0 else "")
        line.append(" " * GAP)
    line.right_crop(GAP)
    return line
