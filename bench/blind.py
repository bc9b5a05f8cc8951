"""What a hand-written webhook does with a notification: one blind upsert of its columns. To be measured against.

Honest work of the least kind: no check but the secret's, no inbox, no order. Whatever came last is what the row says,
and an event that was overwritten is gone without a trace.
"""

import hmac
import logging
import os
from collections.abc import Mapping
from typing import Any

TABLE = os.environ.get("BLIND_TABLE", "Blind")


def secret_fits(presented: str | None) -> bool:
    """Tell whether a call carries the secret of the settings."""
    return hmac.compare_digest((presented or "").encode(), os.environ["WEBHOOK_SECRET"].encode())


def row(event: Mapping[str, Any]) -> dict[str, Any]:
    """Give the entity of a notification: the columns that the webhook's row has for the same event."""
    _, _, subscription, _, group, *_, name = event["applicationId"].split("/")
    plan, billing = event.get("plan") or {}, event.get("billingDetails") or {}
    return {
        "PartitionKey": subscription.lower(),
        "RowKey": f"{group}|{name}".lower(),
        "applicationId": event["applicationId"],
        "subscriptionId": subscription,
        "resourceGroup": group,
        "applicationName": name,
        "provisioningState": event["provisioningState"],
        "eventType": event["eventType"],
        "eventTime": (event["eventTime"], "Edm.DateTime"),
        "planPublisher": plan.get("publisher"),
        "planProduct": plan.get("product"),
        "planName": plan.get("name"),
        "planVersion": plan.get("version"),
        "resourceUsageId": billing.get("resourceUsageId"),
    }


def quiet_sdk() -> None:
    """Silence the SDK's own line for each request, as the webhook does: the comparison is not to be won by that."""
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
