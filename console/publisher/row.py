"""An application's row, as the console shows it.

It takes a row as it is: one that somebody broke is shown with what there is, and does not keep the others from being
shown. It never decides which row is right; `rebuild` does, by the webhook's own merge.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from webhook.notification import is_order_key

TRANSIENT = ("Accepted", "Deleting")
"""The states in which something is under way."""


COLUMNS = (
    *("PartitionKey", "RowKey", "applicationId", "subscriptionId", "resourceGroup", "applicationName"),
    *("provisioningState", "eventType", "order", "firstOrder"),
    *("planPublisher", "planProduct", "planName", "planVersion", "resourceUsageId", "applicationDefinitionId"),
    *("errorCode", "errorMessage", "error"),
)
"""What a row is read from. To fetch no other is a quarter faster: the SDK takes its time over each datetime."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of an application; what its row lacks is None, and an empty text where every row has it.

    Attributes:
        partition_key, row_key: subscription ID; resource group and name; lower-cased.
        subscription_id, resource_group, name: as the latest event spelt them; as the keys say where a row lacks them.
        order: empty where it is no order key.
        event_time, first_event_time: UTC with 7 fractional digits.
        error: JSON.
    """

    partition_key: str
    row_key: str
    application_id: str
    subscription_id: str
    resource_group: str
    name: str
    state: str
    event_type: str
    order: str
    event_time: str
    first_order: str
    first_event_time: str
    plan_publisher: str | None
    plan_product: str | None
    plan: str | None
    plan_version: str | None
    resource_usage_id: str | None
    application_definition_id: str | None
    error_code: str | None
    error_message: str | None
    error: str | None

    @classmethod
    def of(cls, entity: Mapping[str, Any]) -> "Row":
        """Read the columns of an entity."""
        partition_key, row_key = text_of(entity, "PartitionKey") or "", text_of(entity, "RowKey") or ""
        group, _, name = row_key.partition("|")
        order, first = _order(entity, "order"), _order(entity, "firstOrder")
        return cls(
            partition_key,
            row_key,
            text_of(entity, "applicationId") or "",
            text_of(entity, "subscriptionId") or partition_key,
            text_of(entity, "resourceGroup") or group,
            text_of(entity, "applicationName") or name,
            text_of(entity, "provisioningState") or "",
            text_of(entity, "eventType") or "",
            order,
            order.partition("|")[0],
            first,
            first.partition("|")[0],
            text_of(entity, "planPublisher"),
            text_of(entity, "planProduct"),
            text_of(entity, "planName"),
            text_of(entity, "planVersion"),
            text_of(entity, "resourceUsageId"),
            text_of(entity, "applicationDefinitionId"),
            text_of(entity, "errorCode"),
            text_of(entity, "errorMessage"),
            text_of(entity, "error"),
        )

    @property
    def key(self) -> str:
        """The PartitionKey of its notifications, which also names the application."""
        return f"{self.partition_key}|{self.row_key}"

    @property
    def failed(self) -> str | None:
        """What failed, if something did: the deployment or the deletion."""
        if self.state != "Failed":
            return None
        return "deletion" if self.event_type == "DELETE" else "deployment"

    def age(self, now: datetime) -> timedelta | None:
        """Give the time since its latest event; None where that is unknown."""
        time = time_of(self.event_time)
        return None if time is None else now - time

    def error_content(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Give the error itself; its text where that is not JSON."""
        return None if self.error is None else content_of(self.error)

    def to_json(self) -> dict[str, Any]:
        """Give it for programs, by the names of the table's columns; the error as JSON text, as it is there."""
        return {
            "PartitionKey": self.partition_key,
            "RowKey": self.row_key,
            "applicationId": self.application_id,
            "subscriptionId": self.subscription_id,
            "resourceGroup": self.resource_group,
            "applicationName": self.name,
            "provisioningState": self.state,
            "eventType": self.event_type,
            "eventTime": self.event_time,
            "order": self.order,
            "firstEventTime": self.first_event_time,
            "firstOrder": self.first_order,
            "planPublisher": self.plan_publisher,
            "planProduct": self.plan_product,
            "planName": self.plan,
            "planVersion": self.plan_version,
            "resourceUsageId": self.resource_usage_id,
            "applicationDefinitionId": self.application_definition_id,
            "errorCode": self.error_code,
            "errorMessage": self.error_message,
            "error": self.error,
        }


def time_of(text: str) -> datetime | None:
    """Read a time of an order key, UTC with 7 fractional digits, cut to microseconds; None if it is none."""
    try:
        return datetime.fromisoformat(text[:26]).replace(tzinfo=UTC)
    except ValueError:
        return None


def order_text(moment: datetime) -> str:
    """Give a moment, in UTC, as order keys begin with: what is earlier sorts before it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


def content_of(text: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Give what a text says as JSON; the text itself where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def utc_text(time: datetime) -> str:
    """Give a time as every command does for programs: ISO 8601, in UTC, with 6 fractional digits and a Z."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _order(entity: Mapping[str, Any], column: str) -> str:
    order = entity.get(column)
    return str(order) if is_order_key(order) else ""


def text_of(entity: Mapping[str, Any], column: str) -> str | None:
    """Give a column as text, whatever somebody wrote there; None where it is missing."""
    value = entity.get(column)
    return value if value is None or type(value) is str else str(value)
