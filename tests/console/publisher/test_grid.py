"""Lines of cells: aligned, as wide as they may be, and harmless."""

import random

import pytest

pytest.importorskip("rich", reason="rich is not installed: the console is an optional extra")

from rich.cells import cell_len

from console.publisher import grid

COLUMNS = (grid.Column("A", 3), grid.Column("B", 4, first=True), grid.Column("C", 5))


def test_columns_are_narrowed_until_the_line_fits_the_first_ones_first() -> None:
    """What people read least goes first."""
    assert grid.fit(COLUMNS, [10, 10, 10], 100) == [10, 10, 10]
    assert grid.fit(COLUMNS, [10, 10, 10], 30) == [10, 6, 10]
    assert grid.fit(COLUMNS, [10, 10, 10], 24) == [7, 4, 9]
    assert grid.fit(COLUMNS, [10, 10, 10], 1) == [3, 4, 5]
    assert grid.fit(COLUMNS, [2, 10, 3], 1) == [2, 4, 3]


@pytest.mark.parametrize("text", ["short", "exactly 10", "longer than ten", "日本語日本語", "é" * 12, "", "😀" * 6])
def test_every_cell_is_as_wide_as_its_column(text: str) -> None:
    """Wide characters count twice, as on the terminal."""
    line = grid.coloured([text, "end"], [10, 3]).plain

    assert cell_len(line) == 10 + grid.GAP + 3
    assert line.endswith("end")
    assert ("…" in line) == (cell_len(text) > 10)


def test_plain_lines_are_aligned_and_lose_nothing() -> None:
    """`cut -c` and awk both work."""
    rows = [["a", "日本", "x"], ["bbbb", "c", "y"]]
    widths = [1, 1, 1]
    for cells in rows:
        grid.widen(widths, cells)
    lines = [grid.plain(cells, widths) for cells in rows]

    assert lines == ["a     日本  x", "bbbb  c     y"]


def test_no_text_leaves_its_cell() -> None:
    """Escapes, line breaks and tabs become one line that commands nothing."""
    chance = random.Random(1)
    letters = "ab\x1b\n\r\t\x07\x9b\u202e\u2028 "
    for _ in range(2_000):
        shown = grid.cell("".join(chance.choices(letters, k=chance.randrange(8))))
        assert shown
        assert shown.isprintable()


def test_nothing_is_a_dash() -> None:
    """So that columns can be counted."""
    assert [grid.cell(text) for text in (None, "", " \n", "x")] == ["-", "-", "-", "x"]
