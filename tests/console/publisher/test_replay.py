"""A row computed anew from the inbox: what it takes from each notification, and what it cannot use."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.publisher.replay import Replay
from tests import events
from webhook.application import merge
from webhook.entities import inbox_entity

KEY = events.notification().application_id.inbox_partition_key
LIFE = [
    events.notification(
        event_type, state, eventTime=f"2026-03-01T{10 + hour}:00:00Z", plan=None if hour else events.PLAN
    )
    for hour, (event_type, state) in enumerate(events.PAIRS)
]


def replay(*entities: dict[str, Any]) -> Replay:
    """Replay some entities of the inbox."""
    found = Replay(KEY)
    for entity in entities:
        found.add(entity)
    return found


def test_it_is_the_row_that_the_webhook_makes() -> None:
    """Computed from what was stored, and not from what was in memory when it came."""
    found = replay(*(inbox_entity(event, events.NOW) for event in LIFE))

    row = None
    for event in LIFE:
        row = merge(row, event)
    assert found.application == row
    assert found.orders == {event.order for event in LIFE}
    assert found.flaws == []


def test_a_long_body_is_read_from_all_its_columns() -> None:
    """The order of columns in an entity is nobody's promise."""
    event = events.notification(note="é" * 100_000)
    entity = dict(reversed(inbox_entity(event, events.NOW).items()))

    assert replay(entity).application == merge(None, event)


@pytest.mark.parametrize("received_at", [events.NOW - timedelta(days=900), datetime.max.replace(tzinfo=UTC)])
def test_no_clock_decides_what_was_recorded_once(received_at: datetime) -> None:
    """A body that was refused as of the future is recorded later with the time at which it came; it stays valid."""
    assert replay(inbox_entity(LIFE[0], received_at)).application == merge(None, LIFE[0])


FLAWED: dict[str, tuple[dict[str, Any], str]] = {
    "body of another": (
        inbox_entity(events.notification(applicationId=events.application_id("other")), events.NOW),
        "its body is about another application",
    ),
    "another key": (
        {"RowKey": "2026-03-01T10:00:00.0000000Z|0|00000000"},
        f"its body has another order key, {LIFE[0].order}",
    ),
    "edited body": (
        {"body": LIFE[0].body.replace("1.2.0", "1.3.0")},
        "its body has another order key, 2026-03-01T10:00",
    ),
    "later rules": ({"body": '{"eventType": "POST"}'}, "its body is not a valid notification: eventType: Input should"),
    "no JSON": ({"body": ""}, "its body is not a valid notification: body: Invalid JSON: EOF"),
    "no body": ({"body": None}, "its body is not a valid notification: body: Invalid JSON: EOF"),
    "half a pair": ({"body": "\ud800"}, "its body is not a valid notification: body: Invalid JSON"),
    "bytes": ({"body": b"\xff"}, "this app did not write it so"),
    "no order key": ({"RowKey": "x"}, "this app did not write it so"),
    "no time of receipt": ({"receivedAt": None}, "this app did not write it so"),
    "unknown state": ({"provisioningState": "Gone"}, "this app did not write it so"),
}


@pytest.mark.parametrize(("changes", "reason"), FLAWED.values(), ids=FLAWED.keys())
def test_what_cannot_be_used_is_named_and_the_others_count(changes: dict[str, Any], reason: str) -> None:
    """Whatever it said, a row that silently lacks it would pass for right."""
    entity = inbox_entity(LIFE[0], events.NOW) | {"PartitionKey": KEY} | changes
    found = replay({k: v for k, v in entity.items() if v is not None}, inbox_entity(LIFE[1], events.NOW))

    ((row_key, said),) = found.flaws
    assert row_key == entity["RowKey"]
    assert said.startswith(reason)
    assert found.application == merge(None, LIFE[1])
    assert found.orders == {row_key, LIFE[1].order}
