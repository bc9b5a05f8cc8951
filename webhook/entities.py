"""How rows, notifications and rejections are written down as entities of Table Storage, and read back.

Pure. It keeps the limits of the service, which Azurite does not: 64 KiB a property, and no time that needs more than an
exact text to be read back. It never decides by a datetime that came from storage, as the SDK cuts it to microseconds.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar, cast, get_args

from webhook.application import Application, Register, State
from webhook.notification import (
    PROPERTY_LIMIT,
    ApplicationId,
    EventType,
    FieldError,
    Notification,
    Plan,
    ProvisioningState,
    is_order_key,
)
from webhook.rejection import BODY_LIMIT, Reason, Rejection
from webhook.store import StoreError

Entity = dict[str, Any]

_Word = TypeVar("_Word", bound=str)
_EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
_PROVISIONING_STATES: tuple[ProvisioningState, ...] = get_args(ProvisioningState)
_REASONS: tuple[Reason, ...] = get_args(Reason)
_BODY_COLUMN = re.compile(r"body\d*", re.ASCII)
BODY_COLUMNS = ("body", *(f"body{number}" for number in range(1, -(-BODY_LIMIT // PROPERTY_LIMIT))))
"""The columns of the longest body that is taken."""
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)

_HIGH_SURROGATES = range(0xD8, 0xDC)  # of a UTF-16 code unit that opens a pair, the upper byte


INBOX_FACTS = ("PartitionKey", "RowKey", "receivedAt", "eventType", "provisioningState")
"""The columns of a notification in the inbox, without its body."""

REJECTION_FACTS = ("PartitionKey", "RowKey", "receivedAt", "reason", "errors", "size", "recordedAt")
"""The columns of a refused body, without the body."""


class Row(NamedTuple):
    """A row as it is in its table, whether it is one that this app wrote or not.

    Attributes:
        entity: its columns.
        version: what a replacement must name (an ETag).
        changed_at: when it was written last, by the service's clock; None if that was not fetched (Timestamp).
    """

    entity: Mapping[str, Any]
    version: str
    changed_at: datetime | None


class InboxEntry(NamedTuple):
    """A notification as the inbox keeps it."""

    partition_key: str
    order: str
    received_at: datetime
    event_type: EventType
    provisioning_state: ProvisioningState
    body: str


class Difference(NamedTuple):
    """A column of a row that is not what it should be.

    Attributes:
        found, expected: as texts, times to 100 ns; None where the column is not there, or should not be.
    """

    column: str
    found: str | None
    expected: str | None


def application_entity(application: Application) -> Entity:
    """Give the entity of a row; see DESIGN for its columns. What is not known has no column."""
    state, identity, plan = application.latest.value, application.application_id, application.plan
    usage, definition = application.resource_usage_id, application.application_definition_id
    entity = {
        "PartitionKey": identity.partition_key,
        "RowKey": identity.row_key,
        "applicationId": identity.text,
        "subscriptionId": identity.subscription_id,
        "resourceGroup": identity.resource_group,
        "applicationName": identity.name,
        "provisioningState": state.provisioning_state,
        "eventType": state.event_type,
        "eventTime": (application.event_time, "Edm.DateTime"),
        "order": application.order,
        "errorCode": state.error_code,
        "errorMessage": state.error_message,
        "error": state.error,
        "firstEventTime": (application.first_event_time, "Edm.DateTime"),
        "firstOrder": application.first_order,
        "planPublisher": plan and plan.value.publisher,
        "planProduct": plan and plan.value.product,
        "planName": plan and plan.value.name,
        "planVersion": plan and plan.value.version,
        "planOrder": plan and plan.order,
        "resourceUsageId": usage and usage.value,
        "resourceUsageIdOrder": usage and usage.order,
        "applicationDefinitionId": definition and definition.value,
        "applicationDefinitionIdOrder": definition and definition.order,
    }
    return {name: value for name, value in entity.items() if value is not None}


def application_of(entity: Mapping[str, Any]) -> Application:
    """Read a row back. Times come from the order keys, as the SDK cuts datetimes to microseconds.

    Raises:
        StoreError: it is not a row that this app wrote.
    """
    try:
        state = State(
            ApplicationId.parse(entity["applicationId"]),
            _word(entity["eventType"], _EVENT_TYPES),
            _word(entity["provisioningState"], _PROVISIONING_STATES),
            *(_text(entity.get(column)) for column in ("errorCode", "errorMessage", "error")),
        )
        plan = Plan(
            publisher=entity.get("planPublisher"),
            product=entity.get("planProduct"),
            name=entity.get("planName"),
            version=entity.get("planVersion"),
        )
        return Application(
            Register(_order(entity, "order"), state),
            _order(entity, "firstOrder"),
            Register(_order(entity, "planOrder"), plan) if "planOrder" in entity else None,
            _text_register(entity, "resourceUsageId"),
            _text_register(entity, "applicationDefinitionId"),
        )
    except (KeyError, ValueError):
        raise _foreign(entity, "row", "ManagedApplications") from None


def differences(entity: Mapping[str, Any], application: Application) -> list[Difference]:
    """Compare a row with the one that it should be, column by column; what others added is a difference too.

    The types count: a text is not the time that it spells.
    """
    found, expected = _columns(entity), _columns(application_entity(application))
    names = [*expected, *sorted(found.keys() - expected.keys())]
    pairs = ((name, found.get(name), expected.get(name)) for name in names)
    return [Difference(name, *_told(one, other)) for name, one, other in pairs if one != other]


def fingerprint(entity: Mapping[str, Any]) -> bytes:
    """Give 16 bytes that are the same for two rows with no difference, one read and one yet to be written."""
    columns = repr(sorted(_columns(entity).items()))
    return hashlib.blake2b(columns.encode(), digest_size=16).digest()


class _Value(NamedTuple):
    kind: str
    text: str


def _columns(entity: Mapping[str, Any]) -> dict[str, _Value]:
    return {name: _value(value) for name, value in entity.items() if value is not None}


def _value(value: object) -> _Value:
    """Give a value that was read, or is to be written, in the one form that both have."""
    if isinstance(value, tuple):  # with the service's name of its type, which the SDK has in an enumeration
        content, kind = value
        return _time(content) if kind == "Edm.DateTime" else _Value(str(getattr(kind, "value", kind)), str(content))
    if isinstance(value, datetime):
        # the SDK keeps the service's text beside the datetime that it cut to microseconds
        return _time(getattr(value, "tables_service_value", "") or f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}")
    return _Value(type(value).__name__, str(value))


def _time(text: str) -> _Value:
    second, _, fraction = text.removesuffix("Z").partition(".")
    return _Value("time", f"{second}.{fraction:0<7}Z")


def _told(*values: _Value | None) -> list[str | None]:
    """Give two values as texts, with their types where these differ."""
    alike = len({value.kind for value in values if value}) == 1
    return [value and (value.text if alike else f"{value.text} ({value.kind})") for value in values]


def _foreign(entity: Mapping[str, Any], what: str, table: str) -> StoreError:
    return StoreError(
        f"the {what} {entity.get('PartitionKey')!r}, {entity.get('RowKey')!r} of {table} is not one that this app "
        "wrote: mend it or delete it",
        "foreign",
    )


def _text_register(entity: Mapping[str, Any], column: str) -> Register[str] | None:
    text = _text(entity.get(column))
    return None if text is None else Register(_order(entity, f"{column}Order"), text)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError


def _word(value: object, words: Sequence[_Word]) -> _Word:
    for word in words:
        if value == word:
            return word
    raise ValueError


def _order(entity: Mapping[str, Any], column: str) -> str:
    order = entity[column]
    if not is_order_key(order):
        raise ValueError
    return cast("str", order)


def inbox_entity(notification: Notification, received_at: datetime) -> Entity:
    """Give the entity of a notification in the inbox."""
    return {
        "PartitionKey": notification.application_id.inbox_partition_key,
        "RowKey": notification.order,
        "receivedAt": received_at,
        "eventType": notification.event_type,
        "provisioningState": notification.provisioning_state,
        **dict(_body_columns(notification.body)),
    }


def inbox_entry(entity: Mapping[str, Any]) -> InboxEntry:
    """Read a notification in the inbox back; its body is empty where it was not fetched.

    Raises:
        StoreError: it is not an entry that this app wrote.
    """
    try:
        return InboxEntry(
            entity["PartitionKey"],
            _order(entity, "RowKey"),
            _received_at(entity),
            _word(entity["eventType"], _EVENT_TYPES),
            _word(entity["provisioningState"], _PROVISIONING_STATES),
            _text(_body(entity)) or "",
        )
    except (KeyError, ValueError):
        raise _foreign(entity, "entry", "ManagedApplicationNotifications") from None


def _received_at(entity: Mapping[str, Any]) -> datetime:
    received_at = entity["receivedAt"]
    if isinstance(received_at, datetime):
        return received_at
    raise ValueError


def rejection_entity(rejection: Rejection) -> Entity:
    """Give the entity of a refused body."""
    entity = {
        "PartitionKey": rejection.day,
        "RowKey": rejection.digest,
        "receivedAt": rejection.received_at,
        "reason": rejection.reason,
        "errors": json.dumps(rejection.errors, ensure_ascii=False),
        "size": rejection.size,
        "truncated": rejection.truncated,
        "recordedAt": rejection.recorded_at,
        **dict(_body_columns(rejection.body)),
    }
    return {name: value for name, value in entity.items() if value is not None}


def recorded_mark(rejection: Rejection, recorded_at: datetime) -> Entity:
    """Give what has to be merged into the entity of a refused body that was recorded after all."""
    return {"PartitionKey": rejection.day, "RowKey": rejection.digest, "recordedAt": recorded_at}


def rejection_of(entity: Mapping[str, Any]) -> Rejection:
    """Read a refused body back; the body is empty where it was not fetched.

    Raises:
        StoreError: it is not an entry that this app wrote.
    """
    try:
        digest, size, recorded_at = entity["RowKey"], entity["size"], entity.get("recordedAt")
        rejection = Rejection(
            _received_at(entity),
            _word(entity["reason"], _REASONS),
            tuple(map(_field_error, json.loads(entity["errors"]))),
            _body(entity),
            size,
            digest,
            recorded_at,
        )
        if (
            rejection.day == entity["PartitionKey"]
            and _DIGEST.fullmatch(digest)
            and type(size) is int
            and isinstance(recorded_at, datetime | None)
        ):
            return rejection
    except (KeyError, TypeError, ValueError, RecursionError):
        pass
    raise _foreign(entity, "entry", "ManagedApplicationRejections")


def _field_error(error: Mapping[str, Any]) -> FieldError:
    loc, msg = error["loc"], error["msg"]
    if isinstance(loc, list) and isinstance(msg, str) and all(isinstance(step, str | int) for step in loc):
        return {"loc": loc, "msg": msg}
    raise ValueError


def _body(entity: Mapping[str, Any]) -> str | bytes:
    """Put a body together again; empty where it was not fetched."""
    columns = sorted(filter(_BODY_COLUMN.fullmatch, entity), key=lambda name: int(name[4:] or 0))
    pieces = [entity[name] for name in columns if entity[name] is not None]
    if pieces and all(type(piece) is bytes for piece in pieces):
        return b"".join(pieces)
    return "".join(_text(piece) or "" for piece in pieces)


def _body_columns(body: str | bytes) -> Iterator[tuple[str, str | bytes]]:
    """Divide a body among the columns body, body1, body2, ... of 64 KiB each, the most that a property holds."""
    pieces = _divide(body.encode("utf-16-le"), pairs=True) if isinstance(body, str) else _divide(body, pairs=False)
    for number, piece in enumerate(pieces):
        yield f"body{number or ''}", piece.decode("utf-16-le") if isinstance(body, str) else piece


def _divide(data: bytes, *, pairs: bool) -> Iterator[bytes]:
    start, size = 0, 2 * PROPERTY_LIMIT
    while True:
        end = start + size
        if (
            pairs and end < len(data) and data[end - 1] in _HIGH_SURROGATES
        ):  # never between the halves of a surrogate pair
            end -= 2
        yield data[start:end]
        if end >= len(data):
            return
        start = end
