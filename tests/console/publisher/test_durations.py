"""Durations in words."""

import random
from datetime import timedelta

import pytest

from console.publisher.durations import exact, option, short


@pytest.mark.parametrize(
    ("seconds", "coarse", "fine"),
    [
        (0, "0s", "0 s"),
        (0.25, "0s", "0.25 s"),
        (59, "59s", "59 s"),
        (60, "1m", "1 min"),
        (372, "6m", "6 min 12 s"),
        (3_600, "1h", "1 h"),
        (7_322, "2h2m", "2 h 2 min 2 s"),
        (86_400, "1d", "1 d"),
        (90_061, "1d1h", "1 d 1 h 1 min 1 s"),
        (400 * 86_400, "400d", "400 d"),
        (-30, "-30s", "-30 s"),
        (-3_661, "-1h1m", "-1 h 1 min 1 s"),
        (119.6, "1m", "2 min"),
        (59.9994, "59s", "59.999 s"),
        (59.9999, "59s", "1 min"),
    ],
)
def test_a_duration_is_short_in_a_table_and_exact_where_it_matters(seconds: float, coarse: str, fine: str) -> None:
    """An age is glanced at; how long a deployment took is compared."""
    assert (short(timedelta(seconds=seconds)), exact(timedelta(seconds=seconds))) == (coarse, fine)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=2), "2h"),
        (timedelta(days=7), "7d"),
        (timedelta(days=1, milliseconds=1_500), "1d1.5s"),
    ],
)
def test_a_duration_reads_well_as_an_options_value(time: timedelta, text: str) -> None:
    """It stands in advice that is to be copied."""
    assert option(time) == text


def test_as_an_options_value_a_duration_means_the_same() -> None:
    """A rounded one would select others."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    from console.options import duration  # noqa: PLC0415 - cannot be imported without it

    chance = random.Random(3)
    times = [timedelta(microseconds=chance.randrange(10 ** chance.randrange(1, 16))) for _ in range(5_000)]

    assert [time for time in times if duration(option(time)) != time] == []
