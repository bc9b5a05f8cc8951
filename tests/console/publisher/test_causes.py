"""An error taken apart, however it is nested."""

import pytest

from console.publisher.causes import Cause, causes


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (None, []),
        ({"code": "A", "message": "a"}, [(0, "A", "a")]),
        (
            {"code": "A", "details": [{"code": "B", "details": [{"code": "C"}]}, {"code": "D"}]},
            [(0, "A", None), (1, "B", None), (2, "C", None), (1, "D", None)],
        ),
        (
            {"code": "A", "innererror": {"code": "B", "innererror": {"code": "C"}}},
            [(0, "A", None), (1, "B", None), (2, "C", None)],
        ),
        ({}, [(0, None, None)]),
        ("text", [(0, None, "text")]),
        ({"code": 5, "details": "text"}, [(0, "5", None), (1, None, "text")]),
        ([{"code": "A"}, {"code": "B"}], [(0, "A", None), (0, "B", None)]),
    ],
)
def test_causes_come_in_the_order_in_which_they_stand(error: object, found: list[tuple[object, ...]]) -> None:
    """The outer error says that it failed, the inner ones say why."""
    assert list(causes(error)) == [Cause(*each) for each in found]  # type: ignore[arg-type] # as in the table


def test_endless_nesting_ends() -> None:
    """Errors come from outside."""
    error: dict[str, object] = {}
    for _ in range(500):
        error = {"code": "A", "details": [error]}

    assert 20 <= len(list(causes(error))) <= 30


@pytest.mark.parametrize(
    ("cause", "text"),
    [(Cause(0, "A", "a"), "A: a"), (Cause(0, "A", None), "A"), (Cause(0, None, "a"), "a"), (Cause(0, None, None), "(")],
)
def test_a_cause_is_code_and_message(cause: Cause, text: str) -> None:
    """Or what there is of them."""
    assert str(cause).startswith(text)
