"""The row of an application as a merge of its notifications: examples, each a rule."""

import itertools
import json
from collections.abc import Iterable
from functools import reduce
from typing import Any

import pytest

from tests.events import (
    APPLICATION_ID,
    DEFINITION_ID,
    ERROR,
    NOW,
    PAIRS,
    PLAN,
    USAGE_ID,
    body,
    content,
    notification,
)
from webhook.application import Application, join, merge
from webhook.notification import CODE_LIMIT, MESSAGE_LIMIT, Notification, Plan, shorten


def at(minute: int, event_type: str = "PUT", state: str = "Accepted", **changes: Any) -> Notification:  # noqa: ANN401 - JSON
    """Give a bare event at a minute past ten, with no plan or usage ID unless given."""
    bare = {"plan": None, "billingDetails": None, "eventTime": f"2026-03-01T10:{minute:02}:00Z"}
    return notification(event_type, state, **(bare | changes))


def row_of(events: Iterable[Notification]) -> Application:
    """Merge events one after the other, as they come."""
    row = reduce(merge, events, None)
    assert row is not None
    return row


def in_every_order(*events: Notification) -> Application:
    """Give the row of the events, having made sure that their order does not matter."""
    rows = [row_of(order) for order in itertools.permutations(events)]
    assert all(row == rows[0] for row in rows)
    return rows[0]


def status(row: Application) -> tuple[str, str]:
    """Give event type and state of a row."""
    return row.latest.value.event_type, row.latest.value.provisioning_state


def test_a_first_event_makes_a_row_of_all_that_it_says() -> None:
    """One event is enough for a row; nothing has to be known before."""
    event = notification("PUT", "Failed", applicationDefinitionId=DEFINITION_ID)

    row = merge(None, event)

    assert status(row) == ("PUT", "Failed")
    assert row.application_id.text == APPLICATION_ID
    assert (row.order, row.first_order) == (event.order, event.order)
    assert row.event_time == row.first_event_time == "2026-03-01T10:00:00.1234567Z"
    assert row.plan is not None
    assert row.plan.value == Plan(**PLAN)
    assert row.resource_usage_id is not None
    assert row.resource_usage_id.value == USAGE_ID
    assert row.application_definition_id is not None
    assert row.application_definition_id.value == DEFINITION_ID
    assert row.latest.value.error_code == ERROR["code"]
    assert row.latest.value.error_message == ERROR["message"]
    assert row.latest.value.error == event.error_json


@pytest.mark.parametrize(("earlier", "later"), list(itertools.product(PAIRS, repeat=2)), ids="-".join)
def test_the_newest_event_wins_whatever_the_two_say(earlier: tuple[str, str], later: tuple[str, str]) -> None:
    """No state is final or weaker than another: only time decides, not the order of arrival."""
    assert status(in_every_order(at(1, *earlier), at(2, *later))) == later


def test_a_late_accepted_does_not_overwrite_succeeded() -> None:
    """Retries go on for ten hours, so the first event may come last."""
    assert status(row_of([at(5, "PUT", "Succeeded"), at(0, "PUT", "Accepted")])) == ("PUT", "Succeeded")


def test_an_error_disappears_with_the_next_success() -> None:
    """A row that says Succeeded with yesterday's error would have the publisher call a happy customer."""
    row = in_every_order(at(0, "PUT", "Failed"), at(1, "PUT", "Succeeded"))

    assert status(row) == ("PUT", "Succeeded")
    assert (row.latest.value.error, row.latest.value.error_code, row.latest.value.error_message) == (None, None, None)


def test_an_older_error_does_not_come_back() -> None:
    """A failure that arrives late belongs to the past."""
    row = row_of([at(1, "PUT", "Succeeded"), at(0, "PUT", "Failed")])

    assert row.latest.value.error is None


def test_a_newer_error_replaces_an_older_one_whole() -> None:
    """Parts of two errors in one row would describe a failure that never was."""
    row = in_every_order(at(0, "PUT", "Failed"), at(1, "DELETE", "Failed", error={"code": "ScopeLocked"}))

    assert status(row) == ("DELETE", "Failed")
    assert (row.latest.value.error_code, row.latest.value.error_message) == ("ScopeLocked", None)
    assert row.latest.value.error == '{"code":"ScopeLocked"}'


def test_a_failure_without_an_error_has_none() -> None:
    """The older error is not the reason of the newer failure."""
    row = in_every_order(at(0, "PUT", "Failed"), at(1, "DELETE", "Failed", error=None))

    assert row.latest.value.error is None


def test_long_error_texts_are_cut_to_fit_their_columns() -> None:
    """A column holds 64 KiB; the row must be writable whatever a resource provider says."""
    long = {"code": "c" * 100_000, "message": "m" * 100_000}
    state = merge(None, at(0, "PUT", "Failed", error=long)).latest.value

    assert state.error_code == shorten(long["code"], CODE_LIMIT)
    assert state.error_message == shorten(long["message"], MESSAGE_LIMIT)


CARRIED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plan": ("plan", {"plan": PLAN}, {"plan": {**PLAN, "version": "2.0.0"}}),
    "usage ID": (
        "resource_usage_id",
        {"billingDetails": {"resourceUsageId": USAGE_ID}},
        {"billingDetails": {"resourceUsageId": "new"}},
    ),
    "definition": (
        "application_definition_id",
        {"applicationDefinitionId": DEFINITION_ID},
        {"applicationDefinitionId": f"{DEFINITION_ID}-2"},
    ),
}


@pytest.mark.parametrize(("attribute", "old", "new"), CARRIED.values(), ids=CARRIED.keys())
def test_what_an_event_carries_survives_events_without_it(
    attribute: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    """A DELETE comes without plan, and just then the publisher wants to know what was bought."""
    bearer = at(1, "PUT", "Succeeded", **old)
    row = in_every_order(at(0), bearer, at(2, "PATCH", "Succeeded"), at(3, "DELETE", "Deleted"))

    assert status(row) == ("DELETE", "Deleted")
    assert getattr(row, attribute) == getattr(merge(None, bearer), attribute)
    assert getattr(merge(None, at(0)), attribute) is None
    assert new != old


@pytest.mark.parametrize(("attribute", "old", "new"), CARRIED.values(), ids=CARRIED.keys())
def test_a_late_older_value_does_not_overwrite_a_newer_one(
    attribute: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    """An upgraded plan must not fall back when an old retry gets through."""
    newer = at(2, "PATCH", "Succeeded", **new)
    row = in_every_order(at(0, **old), newer, at(1, "PUT", "Succeeded", **old))

    assert getattr(row, attribute) == getattr(merge(None, newer), attribute)


@pytest.mark.parametrize(("attribute", "old", "new"), CARRIED.values(), ids=CARRIED.keys())
def test_a_late_value_is_taken_where_there_was_none(attribute: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """The first event may come last, and it alone may carry the plan; the state stays the newer one's."""
    row = row_of([at(1, "PUT", "Succeeded"), at(0, "PUT", "Accepted", **old)])

    assert status(row) == ("PUT", "Succeeded")
    assert getattr(row, attribute) is not None
    assert new != old


EMPTY: dict[str, dict[str, Any]] = {
    "plan without a part": {"plan": {}},
    "plan of nulls": {"plan": dict.fromkeys(PLAN)},
    "plan of unknown fields": {"plan": {"tier": "gold"}},
    "billing details without a usage ID": {"billingDetails": {}},
    "null usage ID": {"billingDetails": {"resourceUsageId": None}},
    "empty usage ID": {"billingDetails": {"resourceUsageId": ""}},
    "empty definition": {"applicationDefinitionId": ""},
}


@pytest.mark.parametrize("changes", EMPTY.values(), ids=EMPTY.keys())
def test_a_value_that_says_nothing_does_not_erase_one_that_does(changes: dict[str, Any]) -> None:
    """An empty object is an event's way of not carrying something."""
    full = at(0, plan=PLAN, billingDetails={"resourceUsageId": USAGE_ID}, applicationDefinitionId=DEFINITION_ID)
    row = in_every_order(full, at(1, "PUT", "Succeeded", **changes))
    alone = merge(None, full)

    assert (row.plan, row.resource_usage_id) == (alone.plan, alone.resource_usage_id)
    assert row.application_definition_id == alone.application_definition_id


def test_a_plan_is_replaced_whole() -> None:
    """Parts of two plans in one row would name a plan that was never sold."""
    row = in_every_order(at(0, plan=PLAN), at(1, "PATCH", "Succeeded", plan={"name": "premium"}))

    assert row.plan is not None
    assert row.plan.value == Plan(name="premium")


def test_the_first_event_time_is_the_earliest_seen_in_any_order() -> None:
    """It says since when a customer has been one, even where the first event came last."""
    row = in_every_order(at(3, "PATCH", "Succeeded"), at(1), at(2, "PUT", "Succeeded"))

    assert row.first_event_time == "2026-03-01T10:01:00.0000000Z"
    assert row.event_time == "2026-03-01T10:03:00.0000000Z"


@pytest.mark.parametrize(
    ("earlier", "later"),
    [pair for pair in itertools.combinations(PAIRS, 2) if pair != (("PUT", "Succeeded"), ("PUT", "Failed"))],
    ids="-".join,
)
def test_at_equal_times_the_later_in_the_life_cycle_wins(earlier: tuple[str, str], later: tuple[str, str]) -> None:
    """Accepted and Failed can bear one time, and the row must not depend on which arrived first."""
    assert status(in_every_order(at(0, *earlier), at(0, *later))) == later


def test_at_equal_times_and_places_one_of_the_two_always_wins() -> None:
    """Which one is arbitrary; that it is the same for every instance is not."""
    row = in_every_order(at(0, "PUT", "Succeeded"), at(0, "PUT", "Failed"), at(0, "PUT", "Failed", error=None))

    assert row.latest.value.event_type == "PUT"


def test_a_name_that_is_created_again_after_deleted_lives_again() -> None:
    """Deleted is not terminal: a customer may install the offer again under the same name."""
    row = in_every_order(at(0), at(1, "PUT", "Succeeded"), at(2, "DELETE", "Deleted"), at(3, "PUT", "Accepted"))

    assert status(row) == ("PUT", "Accepted")
    assert row.first_event_time == "2026-03-01T10:00:00.0000000Z"


def test_the_id_is_spelt_as_the_latest_event_spelt_it() -> None:
    """Azure's spelling changes with time; people want to see and paste the present one."""
    old, new = APPLICATION_ID.lower().removeprefix("/"), APPLICATION_ID
    row = in_every_order(at(0, applicationId=old), at(1, "PUT", "Succeeded", applicationId=new))

    assert row.application_id.text == new
    assert row.application_id.row_key == "rg-orders|orders"


def test_a_redelivery_changes_nothing() -> None:
    """A repeated event that changed the row would cost a write and could cost the truth."""
    row = row_of([at(0, plan=PLAN), at(1, "PUT", "Failed")])

    assert merge(row, at(0, plan=PLAN)) == row
    assert merge(row, at(1, "PUT", "Failed")) == row


def test_a_redelivery_with_its_keys_in_another_order_changes_nothing() -> None:
    """It has the same order key, so whichever of the two comes first must make the same row."""
    sent = [content("PUT", "Failed", error=error) for error in (ERROR, dict(reversed(ERROR.items())))]
    events = [Notification.from_body(json.dumps(each).encode(), now=NOW) for each in sent]
    assert events[0].order == events[1].order

    in_every_order(*events)


def test_rows_of_divided_events_join_to_the_row_of_all() -> None:
    """Two instances that each saw a part agree once they meet."""
    events = [at(0, plan=PLAN), at(1, "PUT", "Failed"), at(2, "PATCH", "Succeeded"), at(3, "DELETE", "Deleting")]

    for cut in range(1, len(events)):
        halves = row_of(events[:cut]), row_of(events[cut:])
        assert join(*halves) == join(*reversed(halves)) == row_of(events)


def test_the_row_does_not_depend_on_when_an_event_came() -> None:
    """It never decides by a clock: the inbox can rebuild every row years later."""
    sent = body("PUT", "Succeeded")

    assert merge(None, Notification.from_body(sent, now=NOW)) == merge(
        None, Notification.from_body(sent, now=NOW.replace(year=2036))
    )
