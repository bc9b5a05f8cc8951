"""Which applications are meant: Table Storage and `admits` choose the same ones."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from console.marketplace.lives import Truth
from console.publisher.row import Row
from console.publisher.selection import Selection
from tests.console.publisher.conftest import Filled

MIDDLE = datetime(2025, 1, 16, tzinfo=UTC)


def chosen(filled: Filled, selection: Selection) -> tuple[Sequence[str], Sequence[str]]:
    """Give the keys of the rows that the service sends, and of those that are admitted from all."""

    async def ask() -> tuple[list[str], list[str]]:
        async with filled.open() as tables:
            sent = [Row.of(row.entity).key async for row in tables.rows(selection.where())]
            rows = [Row.of(row.entity) async for row in tables.rows()]
            return sent, [row.key for row in rows if selection.admits(row)]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(states=("Succeeded",)),
        Selection(states=("Accepted", "Failed", "Deleting")),
        Selection(failed=True),
        Selection(plan="standard"),
        Selection(since=MIDDLE),
        Selection(stuck_since=MIDDLE + timedelta(days=20)),
        Selection(states=("Succeeded", "Deleted"), plan="premium", since=MIDDLE),
    ],
    ids=str,
)
def test_the_service_and_the_watcher_choose_the_same(filled: Filled, selection: Selection) -> None:
    """The live list holds its rows and filters them itself; it must not show others than the list does."""
    sent, admitted = chosen(filled, selection)

    assert sent == admitted
    assert selection != Selection() or len(sent) == len(filled.population)


def is_stuck(truth: Truth) -> bool:
    """Tell whether something is under way."""
    return truth.provisioning_state in ("Accepted", "Deleting")


RULES: list[tuple[Selection, Callable[[Truth], bool]]] = [
    (Selection(states=("Deleted",)), lambda truth: truth.provisioning_state == "Deleted"),
    (Selection(failed=True), lambda truth: truth.provisioning_state == "Failed"),
    (Selection(plan="basic"), lambda truth: (truth.plan or {}).get("name") == "basic"),
    (Selection(since=MIDDLE), lambda truth: truth.event_time >= "2025-01-16"),
    (Selection(stuck_since=MIDDLE + timedelta(days=30)), is_stuck),
]


@pytest.mark.parametrize(("selection", "rule"), RULES)
def test_what_is_chosen_is_what_is_true(filled: Filled, selection: Selection, rule: Callable[[Truth], bool]) -> None:
    """Against what the simulator knows of its customers, not against our own reading of the rows."""
    assert set(chosen(filled, selection)[0]) == {life.key for life in filled.population if rule(life.truth)}


def test_a_subscription_is_found_in_any_casing(filled: Filled) -> None:
    """It is copied from wherever it stands, with what stands around it."""
    key = filled.population[0].key
    selection = Selection(subscription=f" {key.split('|')[0].upper()} ")

    assert chosen(filled, selection) == ([key], [key])


def test_no_value_changes_the_question(filled: Filled) -> None:
    """Quotes and operators in a value are a value."""
    assert chosen(filled, Selection(plan="x' or PartitionKey ne '")) == ([], [])
    assert chosen(filled, Selection(subscription="@plan ) or ( PartitionKey ne 'x")) == ([], [])
