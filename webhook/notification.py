"""One notification of the Azure Marketplace: what it must hold, which application it is about, where it stands in time.

Pure. Strict on what the order and the row rely on, tolerant of the rest; it never looks at a clock, and no error text
repeats what was sent.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self, TypedDict, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, from_json

from webhook import WebhookError

EventType = Literal["PUT", "PATCH", "DELETE"]
ProvisioningState = Literal["Accepted", "Succeeded", "Failed", "Deleting", "Deleted"]

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(days=1)
"""How far the time of an event may lie ahead of the time of its receipt."""

KEY_LIMIT = 512
"""UTF-16 code units in a PartitionKey or RowKey: 1 KiB, by
https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model."""

PROPERTY_LIMIT = 32 * 1024
"""UTF-16 code units in one string property of an entity: 64 KiB, by the same page."""

CODE_LIMIT, MESSAGE_LIMIT = 500, 4_000
"""Characters of an error's code and message that a row keeps: as JSON, with every character escaped, both fit into one
property."""

_ORDER_KEY = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z\|[0-5]\|[0-9a-f]{8}", re.ASCII)


class FieldError(TypedDict):
    """What is wrong with one field: `loc`, the way to it from the top of the body, and `msg`, a sentence."""

    loc: list[str | int]
    msg: str


class InvalidNotificationError(WebhookError):
    """The body is not a valid notification; `errors` names each field and repeats nothing of the body."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class ApplicationId:
    """The Azure resource ID of a managed application, as a notification spelt it.

    Resource IDs are case-insensitive and arrive with and without the leading slash: compare `partition_key` and
    `row_key`, never `text`.
    """

    text: str
    subscription_id: str
    resource_group: str
    name: str

    @classmethod
    def parse(cls, text: object) -> Self:
        """Take the ID apart.

        Raises:
            PydanticCustomError: it is not the ID of a managed application, or too long for a table's keys.
        """
        match = _RESOURCE_ID.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise PydanticCustomError(
                "application_id",
                "Input should be the resource ID of a managed application: /subscriptions/<ID>/resourceGroups/<group>"
                "/providers/Microsoft.Solutions/applications/<name>",
            )
        parsed = cls(match[0], match[1], match[2], match[3])
        if utf16_length(parsed.inbox_partition_key) > KEY_LIMIT:
            raise PydanticCustomError(
                "application_id",
                "Input should be a resource ID whose names have at most 510 characters together",
            )
        return parsed

    @property
    def partition_key(self) -> str:
        """PartitionKey of the application's row: the subscription ID."""
        return self.subscription_id.lower()

    @property
    def row_key(self) -> str:
        """RowKey of the application's row: resource group and name."""
        return f"{self.resource_group}|{self.name}".lower()

    @property
    def inbox_partition_key(self) -> str:
        """PartitionKey of the application's notifications; it also names the application within a process."""
        return f"{self.partition_key}|{self.row_key}"


# (?a): only ASCII letters match regardless of case, so that no look-alike passes for "subscriptions"
_SEGMENT = r"([^/\\#?|\x00-\x1f\x7f-\x9f]+)"
_RESOURCE_ID = re.compile(
    rf"(?ai:/?subscriptions/{_SEGMENT}/resourceGroups/{_SEGMENT}/providers/Microsoft\.Solutions/applications/{_SEGMENT})"
)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:[0-5]\d)", re.ASCII)


def _event_time(text: str, info: ValidationInfo) -> str:
    """Rewrite a timestamp as UTC with exactly 7 fractional digits, so that the order of the texts is that of the times.

    Digits beyond 100 ns, the resolution of the sender and of Table Storage, are cut off.
    """
    received_at: datetime = cast("dict[str, datetime]", info.context)["now"]
    moment, fraction = _parse_time(text)
    if not EARLIEST <= moment <= received_at + CLOCK_SKEW:
        raise PydanticCustomError("event_time", "Input should be a time between the year 2000 and a day from now")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction[:7]:0<7}Z"


def _parse_time(text: str) -> tuple[datetime, str]:
    """Give the second in UTC, and the digits of its fraction."""
    if match := _TIMESTAMP.fullmatch(text):
        with suppress(ValueError, OverflowError):
            return datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).astimezone(UTC), match[2] or ""
    raise PydanticCustomError("event_time", "Input should be a UTC timestamp such as 2026-03-01T10:00:00.1234567Z")


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        coerce_numbers_to_str=True,
        defer_build=True,  # at the first body that is read, which keeps the start of an instance short
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )


_Text = Annotated[str, Field(max_length=1024)]


class Plan(_Model):
    """The plan that was bought; `product` ends in -preview for a preview offer."""

    publisher: _Text | None = None
    product: _Text | None = None
    name: _Text | None = None
    version: _Text | None = None


class BillingDetails(_Model):
    """What metered billing asks for: the usage ID of the application."""

    resource_usage_id: _Text | None = None


class ErrorDetail(_Model):
    """One of the causes of a failure."""

    code: str | None = None
    message: str | None = None


class Error(ErrorDetail):
    """Why a deployment or a deletion failed."""

    details: list[ErrorDetail] | None = Field(default=None, fail_fast=True)


class Notification(_Model):
    """A valid notification, of a Marketplace offer or of a service catalog application.

    Which of the two it is does not show in every event, as later ones may lack what an earlier one had; so there is one
    model, and what only one flavour sends is optional. Fields, states and events:
    https://learn.microsoft.com/azure/azure-resource-manager/managed-applications/publish-notifications

    Attributes:
        event_time: UTC with exactly 7 fractional digits, such as 2026-03-01T10:00:00.1234567Z.
    """

    event_type: EventType
    application_id: Annotated[ApplicationId, PlainValidator(ApplicationId.parse)]
    event_time: Annotated[str, AfterValidator(_event_time)]
    provisioning_state: ProvisioningState
    plan: Plan | None = None
    billing_details: BillingDetails | None = None
    application_definition_id: _Text | None = None
    error: Error | None = None

    _body: str = PrivateAttr()
    _order: str = PrivateAttr()
    _error_json: str | None = PrivateAttr()

    @classmethod
    def from_body(cls, body: bytes, *, now: datetime) -> Self:
        """Read a request body.

        Args:
            body: the JSON, as it came.
            now: the time of receipt, to recognise times that lie too far ahead.

        Raises:
            InvalidNotificationError: something that the app relies on is missing or wrong.
        """
        try:
            content = from_json(body, allow_inf_nan=False)
            canonical = _canonical_json(content)  # refuses what overflowed to infinity
            notification = cls.model_validate_json(body, context={"now": now})
        except ValidationError as error:
            raise InvalidNotificationError(_field_errors(error)) from None
        except ValueError as error:
            raise InvalidNotificationError([{"loc": [], "msg": f"Invalid JSON: {error}"}]) from None
        notification._body = body.decode()  # noqa: SLF001 - its own class
        notification._order = notification._order_key(canonical)  # noqa: SLF001 - its own class
        notification._error_json = _error_json(content.get("error"))  # noqa: SLF001 - its own class
        return notification

    def _order_key(self, canonical: str) -> str:
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:8]
        return f"{self.event_time}|{_place(self.event_type, self.provisioning_state)}|{digest}"

    @property
    def body(self) -> str:
        """The request body as it came."""
        return self._body

    @property
    def order(self) -> str:
        """The order key: of two events of one application, the one with the greater key is the later.

        Time, then the place in the life cycle, then a digest of the body's content, which makes the order total and is
        the same for every redelivery.
        """
        return self._order

    @property
    def first_of_life(self) -> bool:
        """Whether this is the kind of event with which an application's life begins."""
        return self.event_type == "PUT" and self.provisioning_state == "Accepted"

    @property
    def error_json(self) -> str | None:
        """The whole error as JSON that fits into one property; a longer one without its details, and cut short."""
        return self._error_json


def is_order_key(text: object) -> bool:
    """Tell whether this is an order key, such as 2026-03-01T10:00:00.1234567Z|3|9f86d081."""
    return isinstance(text, str) and _ORDER_KEY.fullmatch(text) is not None


def time_of(order: str) -> str:
    """Give the time in an order key: UTC with 7 fractional digits."""
    return order.partition("|")[0]


def utf16_length(text: str) -> int:
    """Count UTF-16 code units, in which Table Storage measures texts."""
    return len(text) + sum(character > "\uffff" for character in text)


def shorten(text: str, limit: int) -> str:
    """Cut a text to so many characters, the last of them an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _place(event_type: EventType, state: ProvisioningState) -> int:
    """Place an event in the life cycle, for events that bear the same time.

    Pairs that are not documented have a place too: they are still what the Marketplace said last, and refusing them
    would leave the row with an older state.
    """
    match event_type, state:
        case "PUT", "Accepted":
            return 0
        case "PUT", _:
            return 1
        case "PATCH", _:
            return 2
        case "DELETE", "Failed":
            return 4
        case "DELETE", "Deleted":
            return 5
        case _:
            return 3


def _field_errors(error: ValidationError) -> list[FieldError]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [{"loc": list(each["loc"]), "msg": each["msg"]} for each in found]


def _error_json(error: Mapping[str, object] | None) -> str | None:
    if error is None:
        return None
    text = _canonical_json(error)
    if utf16_length(text) <= PROPERTY_LIMIT:
        return text
    limits = {"code": CODE_LIMIT, "message": MESSAGE_LIMIT}
    kept = {name: shorten(str(error[name]), limit) for name, limit in limits.items() if error.get(name) is not None}
    return _canonical_json({**kept, "truncated": True})


def _canonical_json(content: object) -> str:
    """Write JSON with keys sorted and no spaces: one text for one content, however it came.

    Raises:
        ValueError: a number is too large for JSON's usual range.
    """
    return json.dumps(content, allow_nan=False, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
