"""The merge as an algebra: whatever the order, repetition or grouping of the same events, one row."""

from functools import reduce

import pytest

from tests.events import APPLICATION_ID, DEFINITION_ID, ERROR, PLAN, USAGE_ID, notification
from webhook.application import Application, join, merge
from webhook.notification import Notification, Plan

pytest.importorskip("hypothesis", reason="needs the development requirement hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

settings.register_profile("unit", deadline=None, max_examples=200, derandomize=True, database=None)
settings.load_profile("unit")

# few values of each kind, so that equal times, equal places and equal events are common
EVENTS = st.builds(
    notification,
    st.sampled_from(["PUT", "PATCH", "DELETE"]),
    st.sampled_from(["Accepted", "Succeeded", "Failed", "Deleting", "Deleted"]),
    eventTime=st.sampled_from(
        [
            "2026-03-01T10:00:08.17Z",
            "2026-03-01T10:00:08.1707163Z",
            "2026-03-01T10:00:08.1707169Z",
            "2026-03-01T12:00:08.17+02:00",
        ]
    ),
    applicationId=st.sampled_from([APPLICATION_ID, APPLICATION_ID.lower(), APPLICATION_ID.removeprefix("/")]),
    plan=st.sampled_from([None, {}, PLAN, {**PLAN, "version": "2"}]),
    billingDetails=st.sampled_from([None, {}, {"resourceUsageId": USAGE_ID}, {"resourceUsageId": "other"}]),
    applicationDefinitionId=st.sampled_from([None, "", DEFINITION_ID]),
    error=st.sampled_from([None, {}, ERROR, {"code": "Other"}]),
)
LISTS = st.lists(EVENTS, min_size=1, max_size=8)


def row_of(events: list[Notification]) -> Application:
    """Merge events one after the other."""
    row = reduce(merge, events, None)
    assert row is not None
    return row


def newest(events: list[Notification], value: str) -> tuple[str, object] | None:
    """Give the greatest order key among the events that carry a value, and the value."""

    def carried(event: Notification) -> object:
        if value == "plan":
            return None if event.plan in (None, Plan()) else event.plan
        if value == "definition":
            return event.application_definition_id or None
        return (event.billing_details and event.billing_details.resource_usage_id) or None

    bearers = [event for event in events if carried(event) is not None]
    last = max(bearers, key=lambda event: event.order, default=None)
    return None if last is None else (last.order, carried(last))


@given(LISTS)
def test_the_row_is_what_the_whole_list_says(events: list[Notification]) -> None:
    """An oracle that sees all events at once knows the row: the merge must find the same, event by event."""
    row = row_of(events)
    last = max(events, key=lambda event: event.order)
    state = row.latest.value

    assert row.order == last.order
    assert row.first_order == min(event.order for event in events)
    assert row.event_time == last.event_time
    assert row.first_event_time == min(event.event_time for event in events)
    assert state.application_id == row.application_id == last.application_id
    assert (state.event_type, state.provisioning_state) == (last.event_type, last.provisioning_state)
    assert (state.error_code, state.error_message) == (
        (last.error.code, last.error.message) if last.error is not None else (None, None)
    )
    assert state.error == last.error_json
    for register, value in [
        (row.plan, "plan"),
        (row.resource_usage_id, "usage"),
        (row.application_definition_id, "definition"),
    ]:
        assert (register and (register.order, register.value)) == newest(events, value)


@given(LISTS, st.data())
def test_any_order_of_delivery_gives_the_same_row(events: list[Notification], data: st.DataObject) -> None:
    """Retries and parallel instances shuffle deliveries; the row must not know."""
    assert row_of(data.draw(st.permutations(events))) == row_of(events)


@given(LISTS, st.data())
def test_any_repetition_gives_the_same_row(events: list[Notification], data: st.DataObject) -> None:
    """Deliveries are at least once, so that a second and a third must change nothing, wherever they fall."""
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=8))

    assert row_of(data.draw(st.permutations([*events, *repeated]))) == row_of(events)


@given(LISTS, st.data())
def test_any_grouping_gives_the_same_row(events: list[Notification], data: st.DataObject) -> None:
    """Writers that each saw a part, even none, agree once their rows are joined in any order."""
    numbers = data.draw(st.lists(st.integers(0, 3), min_size=len(events), max_size=len(events)))
    groups: list[list[Notification]] = [[], [], [], []]
    for number, event in zip(numbers, events, strict=True):
        groups[number].append(event)
    parts = data.draw(st.permutations([row for group in groups if (row := reduce(merge, group, None))]))

    assert reduce(join, parts) == row_of(events)


@given(LISTS, LISTS, LISTS)
def test_joining_is_commutative_associative_and_idempotent(
    one: list[Notification], two: list[Notification], three: list[Notification]
) -> None:
    """These three laws are why no lock is needed between instances."""
    a, b, c = row_of(one), row_of(two), row_of(three)

    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == a
    assert join(join(a, b), b) == join(a, b)


@given(LISTS)
def test_the_order_key_of_a_row_never_goes_back(events: list[Notification]) -> None:
    """Whoever polls the table sees an application move forward only."""
    row: Application | None = None
    for event in events:
        merged = merge(row, event)
        assert merged.order >= event.order
        assert merged.first_order <= event.order
        if row is not None:
            assert merged.order >= row.order
            assert merged.first_order <= row.first_order
        row = merged


@given(LISTS, EVENTS)
def test_merging_an_event_again_changes_nothing(events: list[Notification], event: Notification) -> None:
    """The recorder takes an unchanged row for proof that the event is in it."""
    once = merge(row_of(events), event)

    assert merge(once, event) == once
