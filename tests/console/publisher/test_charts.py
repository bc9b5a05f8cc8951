"""Charts of characters: lengths that say what the numbers say, with and without colours and block characters."""

from collections.abc import Sequence

import pytest

pytest.importorskip("rich", reason="rich is not installed: the console is an optional extra")

from console.publisher.charts import ASCII, BLOCKS, Glyphs, bar, columns

STYLES = ("green", "red")
ENDS = ("2026-03-01", "2026-03-31")


def drawn(values: Sequence[tuple[int, int]], *, width: int = 40, height: int = 4, glyphs: Glyphs = BLOCKS) -> list[str]:
    """Give the lines as texts."""
    return [line.plain for line in columns(values, ENDS, width=width, height=height, glyphs=glyphs, styles=STYLES)]


def test_a_bar_is_as_long_as_its_number_says() -> None:
    """To an eighth of a character."""
    assert bar(10, 10, 8, BLOCKS) == "████████"
    assert bar(5, 10, 8, BLOCKS) == "████"
    assert bar(1, 16, 8, BLOCKS) == "▌"
    assert bar(10, 10, 8, ASCII) == "########"


def test_what_is_there_can_be_seen_and_what_is_not_has_no_bar() -> None:
    """One of a thousand is still one."""
    assert bar(1, 1_000, 8, BLOCKS) == "▏"
    assert bar(1, 1_000, 8, ASCII) == "#"
    assert bar(0, 1_000, 8, BLOCKS) == bar(0, 0, 8, BLOCKS) == ""


def test_columns_stand_on_a_line_between_scale_and_dates() -> None:
    """What failed stands on what succeeded."""
    assert drawn([(8, 0), (4, 4), (0, 4), (0, 0), (3, 0)], width=60) == [
        "8 ┤███ ░░░",
        "   ███ ░░░",
        "   ███ ███ ░░░     ▄▄▄",
        "   ███ ███ ░░░     ███",
        "0 └───────────────────",
        "   2026-03-01 to 2026-03-31",
    ]


def test_the_dates_stand_at_the_ends_where_there_is_room() -> None:
    """The first column is the first day, the last the last."""
    *_, line, dates = drawn([(1, 0)] * 31, width=80)

    assert dates == "   2026-03-01" + " " * (len(line) - 23) + "2026-03-31"


def test_ascii_alone_is_enough() -> None:
    """Where the encoding is not UTF-8, a chart must not end in an error."""
    lines = drawn([(8, 0), (4, 4), (0, 1)], glyphs=ASCII)

    assert all(line.isascii() for line in lines)
    assert lines[3] == "   ### ### xxx"


@pytest.mark.parametrize("failed", [1, 500, 999])
def test_a_failure_shows_and_does_not_hide_what_succeeded(failed: int) -> None:
    """However few there were of either."""
    column = "".join(line[-1] for line in drawn([(1_000 - failed, failed)], height=5)[:5])

    assert "░" in column
    assert "█" in column
    assert len(column.strip()) == 5


@pytest.mark.parametrize("count", [1, 20, 38, 39, 100])
def test_no_line_is_wider_than_it_may_be(count: int) -> None:
    """The terminal would break it, and the chart with it."""
    assert max(map(len, drawn([(1, 1)] * count, width=40))) <= 40


def test_nothing_at_all_is_an_empty_chart() -> None:
    """And no division by nothing."""
    assert drawn([(0, 0), (0, 0)], height=2)[:2] == ["0 ┤", ""]
