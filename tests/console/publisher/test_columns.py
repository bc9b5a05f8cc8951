"""What an export holds of a row: the same columns whatever the row is."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from console.publisher import row
from console.publisher.columns import APPLICATIONS, NOTIFICATIONS, Layout
from console.publisher.row import Row
from tests import events
from webhook.application import Application, merge
from webhook.entities import application_entity, inbox_entity
from webhook.notification import Notification

FIRST = events.notification()
FAILED = events.notification("DELETE", "Failed", eventTime="2026-03-01T11:00:00.0000001Z", plan=None)
ROW = application_entity(merge(Application.of(FIRST), FAILED))
ENTRY = inbox_entity(FIRST, events.NOW)
BOTH = pytest.mark.parametrize(
    ("columns", "entity"), [(APPLICATIONS, ROW), (NOTIFICATIONS, ENTRY)], ids=["applications", "notifications"]
)


def test_the_columns_are_those_of_the_page() -> None:
    """Queries and reports are built on them: names and order are an interface."""
    assert APPLICATIONS.names == (
        "PartitionKey",
        "RowKey",
        "applicationId",
        "subscriptionId",
        "resourceGroup",
        "applicationName",
        "provisioningState",
        "eventType",
        "eventTime",
        "order",
        "firstEventTime",
        "firstOrder",
        "planPublisher",
        "planProduct",
        "planName",
        "planVersion",
        "resourceUsageId",
        "applicationDefinitionId",
        "errorCode",
        "errorMessage",
        "error",
    )
    assert NOTIFICATIONS.names == (
        "PartitionKey",
        "RowKey",
        "eventTime",
        "receivedAt",
        "eventType",
        "provisioningState",
        "body",
    )


def test_a_row_is_given_as_it_is() -> None:
    """Values are those of the table, and times are exact to 100 ns."""
    assert APPLICATIONS.record(ROW) == {
        **{name: ROW.get(name) for name in APPLICATIONS.names},
        "eventTime": "2026-03-01T11:00:00.0000001Z",
        "firstEventTime": "2026-03-01T10:00:00.1234567Z",
    }
    assert not APPLICATIONS.lacking(APPLICATIONS.record(ROW))


def test_a_notification_is_given_as_it_came() -> None:
    """With its body as one text."""
    assert NOTIFICATIONS.record(ENTRY) == {
        "PartitionKey": "00000000-1111-2222-3333-444444444444|rg-orders|orders",
        "RowKey": FIRST.order,
        "eventTime": "2026-03-01T10:00:00.1234567Z",
        "receivedAt": "2026-03-02T12:00:00.000000Z",
        "eventType": "PUT",
        "provisioningState": "Accepted",
        "body": events.body().decode(),
    }
    assert not NOTIFICATIONS.lacking(NOTIFICATIONS.record(ENTRY))


def test_a_long_body_is_put_together() -> None:
    """It is divided among columns of 64 KiB in the table, and nobody outside has to know."""
    long = Notification.from_body(events.body(more="\U0001f600" * 20_000), now=events.NOW)
    entity = inbox_entity(long, events.NOW)

    assert "body7" in entity
    assert NOTIFICATIONS.record(entity)["body"] == long.body


@BOTH
def test_nothing_is_fetched_that_is_not_needed(columns: Layout, entity: Mapping[str, Any]) -> None:
    """The SDK reads each datetime at leisure, and the times are in the order keys anyway."""
    fetched = {name: value for name, value in entity.items() if name in columns.fetched}

    assert columns.record(fetched) == columns.record(entity)
    assert not {"eventTime", "firstEventTime", "Timestamp"} & set(columns.fetched)


def test_what_is_fetched_of_an_application_is_all_that_is_shown_of_it() -> None:
    """`list` fetches no more for its JSON and CSV."""
    assert Row.of({name: value for name, value in ROW.items() if name in row.COLUMNS}) == Row.of(ROW)


@BOTH
def test_columns_that_the_service_gives_as_null_are_empty(columns: Layout, entity: Mapping[str, Any]) -> None:
    """Azure names every column that was asked for, Azurite only those that the row has."""
    nulls: dict[str, Any] = dict.fromkeys(columns.fetched)

    assert columns.record({**nulls, **entity}) == columns.record(entity)


@BOTH
def test_a_row_that_somebody_broke_has_all_columns_too(columns: Layout, entity: Mapping[str, Any]) -> None:
    """It is exported with what there is, and is told apart."""
    for column in set(columns.indispensable) & set(entity) - {"PartitionKey", "RowKey", *columns.orders}:
        without = {name: value for name, value in entity.items() if name != column}

        assert tuple(columns.record(without)) == columns.names
        assert columns.lacking(columns.record(without))

    nothing = columns.record({"PartitionKey": "a", "RowKey": "b"})
    assert nothing == {**dict.fromkeys(columns.names), "PartitionKey": "a", "RowKey": "b"}
    assert columns.lacking(nothing)


@pytest.mark.parametrize("order", ["soon", "", "2026-03-01T11:00:00Z|4|00000000", 7, None])
def test_what_is_no_order_key_holds_no_time(order: object) -> None:
    """Whoever reads the column reads times, whatever somebody wrote into the table."""
    record = APPLICATIONS.record({**ROW, "order": order})

    assert record["eventTime"] is None
    assert record["order"] == (None if order is None else str(order))
    assert APPLICATIONS.lacking(record)


def test_values_of_other_types_become_text() -> None:
    """A column has one type in Parquet, and one row of somebody's must not stop the export."""
    odd = {**ROW, "planVersion": 1, "errorCode": b"\xff", "error": datetime(2026, 3, 1, tzinfo=UTC)}
    record = APPLICATIONS.record(odd)

    assert (record["planVersion"], record["errorCode"]) == ("1", "b'\\xff'")
    assert record["error"] == "2026-03-01 00:00:00+00:00"
    assert NOTIFICATIONS.record({**ENTRY, "receivedAt": "lately"})["receivedAt"] == "lately"


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-8))])
@pytest.mark.parametrize(("microsecond", "fraction"), [(0, "000000"), (120, "000120")])
def test_a_time_has_the_same_form_everywhere(zone: timezone, microsecond: int, fraction: str) -> None:
    """Also where its fraction is zero, which Python leaves out."""
    time = datetime(2026, 3, 1, 10, 0, 0, microsecond, tzinfo=UTC).astimezone(zone)

    assert row.utc_text(time) == f"2026-03-01T10:00:00.{fraction}Z"
