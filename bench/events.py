"""Notifications to measure with: lives of imaginary applications, of the usual size and shape."""

import json

SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"

LIFE = (
    ("PUT", "Accepted", "2026-03-01T10:00:00.1234567Z"),
    ("PUT", "Succeeded", "2026-03-01T10:48:12.4035571Z"),
    ("PATCH", "Succeeded", "2026-03-08T09:30:00.5Z"),
    ("DELETE", "Deleting", "2026-06-30T16:45:12.25Z"),
    ("DELETE", "Deleted", "2026-06-30T16:58:01.3333333Z"),
)
"""The events of a usual life: type, state and time."""

LATE = ("PUT", "Failed", "2026-03-01T10:20:00Z")
"""An event between the first and the second of a life."""


def body(name: str, event: tuple[str, str, str], subscription: str = SUBSCRIPTION) -> str:
    """Give the notification of an event in an application's life."""
    event_type, state, time = event
    content: dict[str, object] = {
        "eventType": event_type,
        "applicationId": f"/subscriptions/{subscription}/resourceGroups/rg-{name}"
        f"/providers/Microsoft.Solutions/applications/{name}",
        "eventTime": time,
        "provisioningState": state,
        "billingDetails": {"resourceUsageId": "55555555-6666-7777-8888-999999999999"},
        "plan": {"publisher": "fabrikam", "product": "sales-insights", "name": "standard", "version": "1.2.0"},
    }
    if state == "Failed":
        content["error"] = {"code": "DeploymentFailed", "message": "At least one resource operation failed."}
    return json.dumps(content)


def life(name: str) -> list[str]:
    """Give all notifications of an application's life, in their order."""
    return [body(name, event) for event in LIFE]
