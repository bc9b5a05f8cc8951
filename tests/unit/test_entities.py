"""How rows, notifications and rejections are written down for Table Storage, and read back."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from azure.data.tables import EdmType, EntityProperty

from tests import events
from tests.events import APPLICATION_ID, DEFINITION_ID, ERROR, NOW, PLAN, USAGE_ID, notification
from webhook.application import Application, merge
from webhook.entities import (
    BODY_COLUMNS,
    REJECTION_FACTS,
    Difference,
    InboxEntry,
    application_entity,
    application_of,
    differences,
    fingerprint,
    inbox_entity,
    inbox_entry,
    recorded_mark,
    rejection_entity,
    rejection_of,
)
from webhook.notification import PROPERTY_LIMIT, FieldError, InvalidNotificationError, Notification, utf16_length
from webhook.rejection import BODY_LIMIT, Rejection
from webhook.store import StoreError

SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"
BARE: dict[str, Any] = {"plan": None, "billingDetails": None, "error": None}
ROWS: dict[str, Application] = {
    "everything": merge(
        merge(None, notification("PUT", "Accepted", eventTime="2026-03-01T09:00:00Z")),
        notification("PUT", "Failed", applicationDefinitionId=DEFINITION_ID),
    ),
    "nothing optional": merge(None, notification("PATCH", "Succeeded", **BARE)),
    "registers of three events": merge(
        merge(
            merge(None, notification(**(BARE | {"plan": PLAN, "eventTime": "2026-03-01T09:00:00Z"}))),
            notification("PUT", "Succeeded", **(BARE | {"billingDetails": {"resourceUsageId": USAGE_ID}})),
        ),
        notification("DELETE", "Deleted", **(BARE | {"eventTime": "2026-03-01T11:00:00.0000001Z"})),
    ),
    "a plan in part": merge(None, notification(plan={"name": "n"})),
    "a plan of empty texts": merge(None, notification(plan={"name": "", "version": ""})),
    "an empty error": merge(None, notification("PUT", "Failed", error={})),
    "an error of empty texts": merge(None, notification("PUT", "Failed", error={"code": "", "message": ""})),
    "odd names": merge(None, notification(applicationId=f"{APPLICATION_ID.removeprefix('/').upper()} <ü>'\"%😀")),
    "long texts": merge(None, notification("PUT", "Failed", error={"code": "😀" * 9_000, "message": "ü" * 90_000})),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_row_that_is_read_back_is_the_row_that_was_written(row: Application) -> None:
    """A difference would look like news, and every redelivery would write again."""
    assert application_of(application_entity(row)) == row


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_row_has_no_column_for_what_is_not_known(row: Application) -> None:
    """An absent column is what queries and people take for nothing; the service stores no nulls."""
    entity = application_entity(row)

    assert None not in entity.values()
    assert ("planOrder" in entity) == (row.plan is not None)
    assert ("error" in entity) == (row.latest.value.error is not None)


def test_a_row_has_the_columns_of_the_contract() -> None:
    """Reports are built on these names."""
    row = ROWS["everything"]
    entity = application_entity(row)

    assert json.loads(entity.pop("error")) == ERROR
    assert entity == {
        "PartitionKey": SUBSCRIPTION,
        "RowKey": "rg-orders|orders",
        "applicationId": APPLICATION_ID,
        "subscriptionId": SUBSCRIPTION,
        "resourceGroup": "rg-orders",
        "applicationName": "orders",
        "provisioningState": "Failed",
        "eventType": "PUT",
        "eventTime": ("2026-03-01T10:00:00.1234567Z", "Edm.DateTime"),
        "order": row.order,
        "errorCode": ERROR["code"],
        "errorMessage": ERROR["message"],
        "firstEventTime": ("2026-03-01T09:00:00.0000000Z", "Edm.DateTime"),
        "firstOrder": row.first_order,
        "planPublisher": "fabrikam",
        "planProduct": "orders",
        "planName": "standard",
        "planVersion": "1.2.0",
        "planOrder": row.order,
        "resourceUsageId": USAGE_ID,
        "resourceUsageIdOrder": row.order,
        "applicationDefinitionId": DEFINITION_ID,
        "applicationDefinitionIdOrder": row.order,
    }


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_row_is_within_the_limits_of_the_service(row: Application) -> None:
    """Azurite takes what Azure refuses, so that only this test can tell."""
    entity = application_entity(row)
    texts = [value for value in entity.values() if isinstance(value, str)]

    assert len(entity) <= 252
    assert max(map(utf16_length, texts)) <= PROPERTY_LIMIT
    assert sum(map(utf16_length, texts)) * 2 < 1024 * 1024
    assert all(type(value) is str for name, value in entity.items() if not name.endswith("Time"))
    assert all(type(entity[name]) is tuple for name in ("eventTime", "firstEventTime"))


def test_keys_are_in_lower_case_and_names_as_the_event_spelt_them() -> None:
    """Resource IDs differ in case between events of one application."""
    entity = application_entity(merge(None, notification(applicationId=APPLICATION_ID.upper())))

    assert (entity["PartitionKey"], entity["RowKey"]) == (SUBSCRIPTION, "rg-orders|orders")
    assert (entity["resourceGroup"], entity["applicationName"]) == ("RG-ORDERS", "ORDERS")


def test_what_others_added_to_a_row_does_no_harm() -> None:
    """The service adds a timestamp, and people add columns."""
    row = ROWS["everything"]
    read = {**application_entity(row), "Timestamp": NOW, "note": "call them", "eventTime": NOW, "firstEventTime": "x"}

    assert application_of(read) == row


UNREADABLE: dict[str, dict[str, Any]] = {
    "another application ID": {"applicationId": "nonsense"},
    "an ID that is no text": {"applicationId": 5},
    "another order": {"order": "2026"},
    "an order that is a time": {"order": NOW},
    "another first order": {"firstOrder": ""},
    "another plan order": {"planOrder": 7},
    "another usage order": {"resourceUsageIdOrder": "x"},
    "another definition order": {"applicationDefinitionIdOrder": "x"},
    "a plan that is no text": {"planName": NOW},
    "a plan too long": {"planVersion": "x" * 1025},
    **{
        f"no {name}": {name: None}
        for name in ("applicationId", "eventType", "provisioningState", "order", "firstOrder", "resourceUsageIdOrder")
    },
}


@pytest.mark.parametrize("changes", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_row_that_this_app_did_not_write_is_named_and_left_alone(changes: dict[str, Any]) -> None:
    """Someone edited the table; guessing would freeze or destroy the row, and the message says which one to mend."""
    entity = {
        name: value for name, value in (application_entity(ROWS["everything"]) | changes).items() if value is not None
    }

    with pytest.raises(StoreError) as caught:
        application_of(entity)

    assert str(caught.value) == (
        f"the row '{SUBSCRIPTION}', 'rg-orders|orders' of ManagedApplications is not one that this app wrote: "
        "mend it or delete it"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"eventType": 5},
        {"eventType": "put"},
        {"provisioningState": "Gone"},
        {"errorCode": 5},
        {"resourceUsageId": 5},
        {"applicationDefinitionId": True},
    ],
    ids=lambda changes: " ".join(f"{name} {value}" for name, value in changes.items()),
)
def test_a_value_that_this_app_never_writes_is_noticed(changes: dict[str, Any]) -> None:
    """It would go into answers and merges as if the Marketplace had said it."""
    with pytest.raises(StoreError):
        application_of(application_entity(ROWS["everything"]) | changes)


# --- comparing a row with the one that it should be


class ServiceTime(datetime):
    """A time as the SDK reads it: cut to microseconds, the service's text beside it."""

    tables_service_value = ""

    @classmethod
    def of(cls, text: str) -> "ServiceTime":
        """Read a time, as the SDK does."""
        time = cls.fromisoformat(text[:26].rstrip("Z") + "+00:00")
        time.tables_service_value = text
        return time


def as_read(row: Application, **changes: object) -> dict[str, Any]:
    """Give the entity of a row as the SDK reads it back; a change to None leaves the column out."""
    entity = application_entity(row)
    times = {name: ServiceTime.of(value[0]) for name, value in entity.items() if isinstance(value, tuple)}
    return {name: value for name, value in (entity | times | changes).items() if value is not None}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_row_that_is_as_it_should_be_has_no_difference(row: Application) -> None:
    """A rebuild of tables in which nobody meddled has nothing to say, and writes nothing."""
    assert differences(as_read(row), row) == []
    assert fingerprint(as_read(row)) == fingerprint(application_entity(row))
    assert fingerprint(dict(reversed(as_read(row).items()))) == fingerprint(application_entity(row))


TIME = "2026-03-01T10:00:00.1234567Z"
MEDDLED: dict[str, tuple[dict[str, object], Difference]] = {
    "a text": ({"errorMessage": "Fine."}, Difference("errorMessage", "Fine.", str(ERROR["message"]))),
    "a text that is gone": ({"error": None}, Difference("error", None, ROWS["everything"].latest.value.error)),
    "a column of others": ({"note": "call them"}, Difference("note", "call them", None)),
    "a flag of others": ({"note": True}, Difference("note", "True", None)),
    "a time, by 100 ns": (
        {"eventTime": ServiceTime.of("2026-03-01T10:00:00.1234568Z")},
        Difference("eventTime", "2026-03-01T10:00:00.1234568Z", TIME),
    ),
    "a time without a fraction": (
        {"eventTime": ServiceTime.of("2026-03-01T10:00:00Z")},
        Difference("eventTime", "2026-03-01T10:00:00.0000000Z", TIME),
    ),
    "a time without the service's text": (
        {"eventTime": datetime(2026, 3, 1, 11, 0, 0, 500, tzinfo=timezone(timedelta(hours=1)))},
        Difference("eventTime", "2026-03-01T10:00:00.0005000Z", TIME),
    ),
    "a text for a time": ({"eventTime": TIME}, Difference("eventTime", f"{TIME} (str)", f"{TIME} (time)")),
    "a number for a text": ({"planName": 5}, Difference("planName", "5 (int)", "standard (str)")),
    "a long number for a text": (
        {"planName": EntityProperty(5, EdmType.INT64)},
        Difference("planName", "5 (Edm.Int64)", "standard (str)"),
    ),
    "an ID for a text": (
        {"resourceUsageId": UUID(USAGE_ID)},
        Difference("resourceUsageId", f"{USAGE_ID} (UUID)", f"{USAGE_ID} (str)"),
    ),
}


@pytest.mark.parametrize(("changes", "difference"), MEDDLED.values(), ids=MEDDLED.keys())
def test_whatever_was_meddled_with_is_a_difference(changes: dict[str, object], difference: Difference) -> None:
    """What a person reads in the table is what counts, in columns that the app itself does not decide on too."""
    row = ROWS["everything"]

    assert differences(as_read(row, **changes), row) == [difference]
    assert fingerprint(as_read(row, **changes)) != fingerprint(application_entity(row))


def test_every_column_that_differs_is_told() -> None:
    """Columns in the order of the table's contract, then those of others."""
    row = ROWS["everything"]
    found = differences(as_read(row, planName=None, eventType="PATCH", b=1, a=1), row)

    assert [difference.column for difference in found] == ["eventType", "planName", "a", "b"]


# --- the inbox


def test_a_notification_is_written_down_as_it_came() -> None:
    """Every row can be rebuilt from the inbox, to the letter."""
    event = notification("PATCH", "Succeeded", note="Grüße 😀")

    assert inbox_entity(event, NOW) == {
        "PartitionKey": f"{SUBSCRIPTION}|rg-orders|orders",
        "RowKey": event.order,
        "receivedAt": NOW,
        "eventType": "PATCH",
        "provisioningState": "Succeeded",
        "body": event.body,
    }
    assert inbox_entry(inbox_entity(event, NOW)) == InboxEntry(
        f"{SUBSCRIPTION}|rg-orders|orders", event.order, NOW, "PATCH", "Succeeded", event.body
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"RowKey": "yesterday"},
        {"eventType": "POST"},
        {"provisioningState": None},
        {"receivedAt": "2026-03-01"},
        {"receivedAt": None},
        {"body1": 5},
    ],
)
def test_an_entry_that_this_app_did_not_write_is_named(changes: dict[str, Any]) -> None:
    """Someone put it there: a row that is rebuilt must not silently go without it."""
    entity = {name: value for name, value in (inbox_entity(notification(), NOW) | changes).items() if value is not None}

    with pytest.raises(
        StoreError, match=r"of ManagedApplicationNotifications is not one that this app wrote"
    ) as caught:
        inbox_entry(entity)
    assert caught.value.cause == "foreign"


FULL = "x" * (PROPERTY_LIMIT - 1)
BODIES: dict[str, tuple[str, list[str]]] = {
    "empty": ("", [""]),
    "short": ("x", ["x"]),
    "one less than a property": (FULL, [FULL]),
    "exactly a property": (FULL + "x", [FULL + "x"]),
    "one more than a property": (FULL + "xy", [FULL + "x", "y"]),
    "exactly two properties": ("x" * PROPERTY_LIMIT * 2, ["x" * PROPERTY_LIMIT] * 2),
    "one more than two properties": ("x" * PROPERTY_LIMIT * 2 + "y", ["x" * PROPERTY_LIMIT] * 2 + ["y"]),
    "two-byte letters": ("ü" * (PROPERTY_LIMIT + 1), ["ü" * PROPERTY_LIMIT, "ü"]),
    "a pair over the edge": (FULL + "😀y", [FULL, "😀y"]),
    "a pair at the end of a property": (FULL[:-1] + "😀y", [FULL[:-1] + "😀", "y"]),
    "a pair at the end of all": (FULL[:-1] + "😀", [FULL[:-1] + "😀"]),
    "a pair over the edge at the end of all": (FULL + "😀", [FULL, "😀"]),
    "the letter before the pairs at the edge": (FULL + "\ud7ffy", [FULL + "\ud7ff", "y"]),
    "the letter after the pairs at the edge": (FULL + "\ue000y", [FULL + "\ue000", "y"]),
    "pairs throughout": ("😀" * PROPERTY_LIMIT, ["😀" * (PROPERTY_LIMIT // 2)] * 2),
    "pairs throughout, off by one": (
        "x" + "😀" * PROPERTY_LIMIT,
        ["x" + "😀" * (PROPERTY_LIMIT // 2 - 1), "😀" * (PROPERTY_LIMIT // 2), "😀"],
    ),
}


@pytest.mark.parametrize(("body", "pieces"), BODIES.values(), ids=BODIES.keys())
def test_a_long_text_goes_on_in_further_columns_and_no_character_is_divided(body: str, pieces: list[str]) -> None:
    """A property holds 32K UTF-16 code units, and half a surrogate pair is not a character that can be sent."""
    entity = rejection_entity(Rejection.of(body.encode(), NOW))
    columns = {name: value for name, value in entity.items() if name.startswith("body")}

    assert columns == {f"body{number or ''}": piece for number, piece in enumerate(pieces)}
    assert all(utf16_length(piece) <= PROPERTY_LIMIT for piece in columns.values())


@pytest.mark.parametrize("length", [0, PROPERTY_LIMIT, 2 * PROPERTY_LIMIT, 200_000, 11 * PROPERTY_LIMIT + 1])
@pytest.mark.parametrize("letter", ["x", "ü", "😀"])
def test_a_long_notification_is_read_back_whole(letter: str, length: int) -> None:
    """With eleven columns, body10 must not sort before body2."""
    event = notification(note=letter * (length // utf16_length(letter)))
    entity = inbox_entity(event, NOW)

    assert inbox_entry(dict(sorted(entity.items()))).body == event.body
    assert inbox_entry(dict(reversed(entity.items()))).body == event.body


@pytest.mark.parametrize("letter", ["x", "ü", "日", "😀", "x😀", "xxx😀"])
def test_the_longest_body_has_columns_that_can_be_asked_for(letter: str) -> None:
    """Whoever names the columns that are to be fetched gets every body whole."""
    shortest, units = events.body(note=""), len(letter.encode())
    body = shortest.replace(
        b'"note": ""', b'"note": "' + letter.encode() * ((BODY_LIMIT - len(shortest)) // units) + b'"'
    )
    event = Notification.from_body(body, now=NOW)
    entity = inbox_entity(event, NOW)

    assert BODY_LIMIT - units < len(body) <= BODY_LIMIT
    assert "".join(entity.get(name, "") for name in BODY_COLUMNS) == event.body
    assert BODY_COLUMNS[-1] in entity or letter != "x"


# --- rejections


def test_a_rejection_has_the_columns_of_the_contract() -> None:
    """People look there for what went wrong."""
    rejection = Rejection.of("Grüße".encode(), NOW, [{"loc": ["plan", 0], "msg": "Grüße"}])

    assert rejection_entity(rejection) == {
        "PartitionKey": "2026-03-02",
        "RowKey": rejection.digest,
        "receivedAt": NOW,
        "reason": "invalid",
        "errors": '[{"loc": ["plan", 0], "msg": "Grüße"}]',
        "size": 7,
        "truncated": False,
        "body": "Grüße",
    }


REJECTIONS: dict[str, Rejection] = {
    "text": Rejection.of("Grüße".encode(), NOW, [{"loc": ["plan", 0], "msg": "Grüße"}]),
    "nothing": Rejection.of(b"", NOW),
    "long text": Rejection.of("😀".encode() * 60_000, NOW),
    "bytes": Rejection.of(b"\xff\x00" * 100_000, NOW, [{"loc": [], "msg": "Invalid JSON"}]),
    "cut": Rejection.of(b"x" * 2 * BODY_LIMIT, NOW),
    "recorded since": replace(Rejection.of(b"{}", NOW), recorded_at=NOW + timedelta(days=3)),
}


@pytest.mark.parametrize("rejection", REJECTIONS.values(), ids=REJECTIONS.keys())
def test_a_rejection_that_is_read_back_is_the_one_that_was_kept(rejection: Rejection) -> None:
    """Recorded after an upgrade, it must be what came, to the byte."""
    entity = rejection_entity(rejection)

    assert rejection_of(entity) == rejection
    assert rejection_of(dict(reversed(entity.items()))) == rejection


def test_a_rejection_can_be_read_without_its_body() -> None:
    """A list of a thousand of them need not fetch 256 MiB; a column that is not there may come as a null."""
    rejection = REJECTIONS["bytes"]
    facts = {name: rejection_entity(rejection).get(name) for name in REJECTION_FACTS}

    assert rejection_of(facts) == replace(rejection, body="")
    assert rejection_of(facts).truncated is False


def test_the_mark_of_a_rejection_that_was_recorded_is_merged_into_it() -> None:
    """Nothing of what came is written anew."""
    rejection, later = REJECTIONS["text"], NOW + timedelta(days=3)
    merged = rejection_entity(rejection) | recorded_mark(rejection, later)

    assert rejection_of(merged) == replace(rejection, recorded_at=later)


@pytest.mark.parametrize(
    "changes",
    [
        {"PartitionKey": "2026-03-03"},
        {"RowKey": "sales"},
        {"RowKey": 5},
        {"receivedAt": "yesterday"},
        {"receivedAt": None},
        {"reason": "whim"},
        {"errors": "{"},
        {"errors": "5"},
        {"errors": '["no"]'},
        {"errors": '[{"loc": [], "msg": 5}]'},
        {"errors": '[{"loc": "plan", "msg": "no"}]'},
        {"errors": '[{"loc": [{}], "msg": "no"}]'},
        {"errors": '[{"msg": "no"}]'},
        {"errors": "[" * 100_000},
        {"size": "7"},
        {"size": True},
        {"recordedAt": "yesterday"},
        {"body": 5},
        {"body1": b"x"},
    ],
    ids=lambda changes: " ".join(f"{name} {value}"[:30] for name, value in changes.items()),
)
def test_a_rejection_that_this_app_did_not_write_is_named(changes: dict[str, object]) -> None:
    """Someone edited the table; the message says what to look at."""
    entity = rejection_entity(REJECTIONS["text"]) | changes

    with pytest.raises(StoreError, match=r"of ManagedApplicationRejections is not one that this app wrote: mend it"):
        rejection_of({name: value for name, value in entity.items() if value is not None})


@pytest.mark.parametrize(
    ("size", "pieces"),
    [(1, [1]), (65_535, [65_535]), (65_536, [65_536]), (65_537, [65_536, 1]), (262_144, [65_536] * 4)],
)
def test_a_body_that_is_no_text_is_kept_in_binary_columns(size: int, pieces: list[int]) -> None:
    """A binary property holds 64 KiB, and whatever its bytes look like, they are cut there and nowhere else."""
    body = b"\xd8" * size
    entity = rejection_entity(Rejection.of(body, NOW))
    columns = {name: value for name, value in entity.items() if name.startswith("body")}

    assert [len(piece) for piece in columns.values()] == pieces
    assert list(columns) == [f"body{number or ''}" for number in range(len(pieces))]
    assert all(type(piece) is bytes for piece in columns.values())
    assert b"".join(columns.values()) == body


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 2 * BODY_LIMIT,
        "ü".encode() * BODY_LIMIT,
        "😀".encode() * BODY_LIMIT,
        b"\xff" * 2 * BODY_LIMIT,
        b"\x00" * BODY_LIMIT,
    ],
    ids=["ASCII", "two bytes", "pairs", "binary", "NULs"],
)
def test_the_largest_rejection_is_within_the_limits_of_the_service(body: bytes) -> None:
    """An entity holds 1 MiB; what does not fit would be a 500 for ten hours."""
    entity = rejection_entity(Rejection.of(body, NOW, everything_wrong()))

    assert utf16_length(entity["errors"]) <= PROPERTY_LIMIT
    size = sum(len(value) if isinstance(value, bytes) else 2 * utf16_length(str(value)) for value in entity.values())
    assert size < 1024 * 1024 - 10_000
    assert (entity["truncated"], entity["size"]) == (len(body) > BODY_LIMIT, len(body))


def everything_wrong() -> list[FieldError]:
    """Give as many errors as one body can have."""
    wrong: dict[str, object] = dict.fromkeys(("eventType", "applicationId", "eventTime", "provisioningState"), 0)
    wrong["applicationDefinitionId"] = []
    wrong["plan"] = {name: [] for name in ("publisher", "product", "name", "version")}
    wrong["billingDetails"] = {"resourceUsageId": []}
    wrong["error"] = {"code": [], "message": [], "details": [{"code": [], "message": []}] * 10_000}
    with pytest.raises(InvalidNotificationError) as error:
        Notification.from_body(json.dumps(wrong).encode(), now=NOW)
    assert len(error.value.errors) == 14
    return error.value.errors


def test_times_of_receipt_carry_their_zone() -> None:
    """The SDK takes a naive datetime for local time."""
    received = datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC)

    assert inbox_entity(notification(), received)["receivedAt"] == received
    assert rejection_entity(Rejection.of(b"x", received))["receivedAt"].tzinfo is UTC
