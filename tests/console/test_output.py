"""Progress: seen when something takes long, and nearly free."""

import time

import pytest

pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
pytest.importorskip("rich", reason="rich is not installed: the console is an optional extra")

from console import output


def test_a_count_may_be_shown_for_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    """A loop over a million rows need not think of it: where nothing is due, it is a look at the clock."""
    with output.progress("Reading", "rows read") as show:
        began = time.process_time()
        for count in range(200_000):
            show(count)
        took = time.process_time() - began

    assert took < 0.2
    assert capsys.readouterr() == ("", "")


def test_a_long_work_says_a_line_from_time_to_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is told; with the newest count."""
    monkeypatch.setattr(output, "_EVERY", 0.1)
    began = time.monotonic()
    with output.progress("Reading", "rows read", 5) as show:
        while time.monotonic() < began + 0.25:
            show(3, "1 more")

    assert capsys.readouterr() == ("", "3 of 5 rows read, 1 more\n" * 2)


def test_a_quiet_work_says_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its results go to the same terminal."""
    monkeypatch.setattr(output, "_EVERY", 0.0)
    with output.progress("Reading", "rows read", quiet=True) as show:
        show(3, "1 more")

    assert capsys.readouterr() == ("", "")
