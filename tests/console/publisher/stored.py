"""Rows and notifications as the tables hold them, made up by the tests."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from console.publisher.row import Row
from webhook.entities import InboxEntry

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"
_PLACES = {"Accepted": 0, "Succeeded": 1, "Failed": 1, "Deleting": 3, "Deleted": 5}
_EVENTS = {"Accepted": "PUT", "Succeeded": "PUT", "Failed": "PUT", "Deleting": "DELETE", "Deleted": "DELETE"}


def key_of(name: str) -> str:
    """Give the key of the application of that name."""
    return f"{SUBSCRIPTION}|rg-orders|{name}".lower()


def time_text(moment: datetime) -> str:
    """Give a moment as order keys begin with."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


def entry(name: str, pair: str, moment: datetime | str, error: object = None) -> InboxEntry:
    """Give a notification; the pair is event type and state, such as PUT Accepted."""
    event_type, state = pair.split()
    place = 2 if event_type == "PATCH" else 4 if pair == "DELETE Failed" else _PLACES[state]
    time = moment if isinstance(moment, str) else time_text(moment)
    body = json.dumps({"error": error} if error is not None else {})
    return InboxEntry(key_of(name), f"{time}|{place}|01234567", NOW, event_type, state, body)  # type: ignore[arg-type] # words


def life(name: str, *steps: tuple[str, float], start: datetime = NOW - timedelta(days=5)) -> list[InboxEntry]:
    """Give notifications, each with the minutes after the start."""
    return [entry(name, pair, start + timedelta(minutes=minutes)) for pair, minutes in steps]


def row(name: str = "orders", state: str = "Succeeded", *, age: timedelta = timedelta(hours=1), **columns: Any) -> Row:  # noqa: ANN401 - columns of a table
    """Give a row; a column that is None is missing."""
    order = f"{time_text(NOW - age)}|{_PLACES.get(state, 2)}|01234567"
    known = {
        "PartitionKey": SUBSCRIPTION,
        "RowKey": f"rg-orders|{name}".lower(),
        "applicationId": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-orders/providers/Microsoft.Solutions/"
        f"applications/{name}",
        "subscriptionId": SUBSCRIPTION,
        "resourceGroup": "rg-orders",
        "applicationName": name,
        "provisioningState": state,
        "eventType": _EVENTS.get(state, "PUT"),
        "order": order,
        "firstOrder": order,
        "planPublisher": "fabrikam",
        "planProduct": "orders",
        "planName": "standard",
        "planVersion": "1.2.0",
    }
    return Row.of({name: value for name, value in (known | columns).items() if value is not None})
