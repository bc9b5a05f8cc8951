"""Notifications for tests: bodies shaped as the Marketplace sends them, for imaginary customers."""

import json
from datetime import UTC, datetime

from webhook.notification import Notification

NOW = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
"""The time at which tests receive their events."""

APPLICATION_ID = (
    "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/rg-orders"
    "/providers/Microsoft.Solutions/applications/orders"
)
PLAN = {"publisher": "fabrikam", "product": "orders", "name": "standard", "version": "1.2.0"}
USAGE_ID = "55555555-6666-7777-8888-999999999999"
DEFINITION_ID = (
    "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/rg-definitions"
    "/providers/Microsoft.Solutions/applicationDefinitions/orders-internal"
)
ERROR = {
    "code": "DeploymentFailed",
    "message": "At least one resource deployment operation failed.",
    "details": [{"code": "QuotaExceeded", "message": "Operation would exceed the approved quota."}],
}
PAIRS = (
    ("PUT", "Accepted"),
    ("PUT", "Succeeded"),
    ("PUT", "Failed"),
    ("PATCH", "Succeeded"),
    ("DELETE", "Deleting"),
    ("DELETE", "Failed"),
    ("DELETE", "Deleted"),
)
"""The documented pairs of event type and provisioning state."""


def application_id(name: str) -> str:
    """Give the resource ID of an application of that name."""
    return APPLICATION_ID.removesuffix("orders") + name


def content(event_type: str = "PUT", state: str = "Accepted", **changes: object) -> dict[str, object]:
    """Give a valid body as a dictionary; a change to None leaves the field out."""
    event = {
        "eventType": event_type,
        "applicationId": APPLICATION_ID,
        "eventTime": "2026-03-01T10:00:00.1234567Z",
        "provisioningState": state,
        "plan": PLAN,
        "billingDetails": {"resourceUsageId": USAGE_ID},
        "error": ERROR if state == "Failed" else None,
    } | changes
    return {name: value for name, value in event.items() if value is not None}


def body(event_type: str = "PUT", state: str = "Accepted", **changes: object) -> bytes:
    """Give a valid body."""
    return json.dumps(content(event_type, state, **changes)).encode()


def notification(event_type: str = "PUT", state: str = "Accepted", **changes: object) -> Notification:
    """Give a valid notification."""
    return Notification.from_body(body(event_type, state, **changes), now=NOW)
