"""Comparing the webhook's tables with the truth: every row and every entry of the inbox, of this run's customers.

The only module of the marketplace that knows the webhook's code, and of that only how its tables are read. It never
writes, and looks at no application but those of the run.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from console.account import opened
from console.marketplace.lives import Event, Life
from webhook.application import Application
from webhook.entities import InboxEntry
from webhook.settings import Storage


@dataclass(frozen=True, slots=True)
class Stored:
    """What the tables hold of the applications of a run, by application key."""

    rows: Mapping[str, Application]
    inbox: Mapping[str, Sequence[InboxEntry]]


async def read(storage: Storage, keys: Collection[str]) -> Stored:
    """Read what the tables hold of these applications. Raises AccountError."""
    inbox: dict[str, list[InboxEntry]] = defaultdict(list)
    async with opened(storage) as tables:
        rows = {
            row.application_id.inbox_partition_key: row
            async for row in tables.applications()
            if row.application_id.inbox_partition_key in keys
        }
        async for entry in tables.inbox():
            if entry.partition_key in keys:
                inbox[entry.partition_key].append(entry)
    return Stored(rows, inbox)


def differences(lives: Sequence[Life], heard: Collection[tuple[int, int]], stored: Stored) -> list[str]:
    """Compare, and give a sentence for each difference.

    Args:
        heard: the events, as (customer, number), that were answered with 200.
    """
    found: list[str] = []
    for life in lives:
        unheard = sum((event.customer, event.number) not in heard for event in life.events)
        hint = f" ({unheard} of its events were not recorded)" if unheard else ""
        found += [f"row of {life.key}: {flaw}{hint}" for flaw in _row(life, stored.rows.get(life.key))]
        found += [f"inbox of {life.key}: {flaw}" for flaw in _inbox(life, heard, stored.inbox.get(life.key, ()))]
    return found


def _row(life: Life, row: Application | None) -> list[str]:
    if row is None:
        return ["it is missing"]
    truth, state = life.truth, row.latest.value
    plan = row.plan and {name: value for name, value in row.plan.value.model_dump().items() if value is not None}
    pairs = {
        "applicationId": (row.application_id.text, truth.application_id),
        "eventType": (state.event_type, truth.event_type),
        "provisioningState": (state.provisioning_state, truth.provisioning_state),
        "eventTime": (row.event_time, truth.event_time),
        "firstEventTime": (row.first_event_time, truth.first_event_time),
        "plan": (plan, truth.plan and dict(truth.plan)),
        "resourceUsageId": (row.resource_usage_id and row.resource_usage_id.value, truth.resource_usage_id),
        "applicationDefinitionId": (
            row.application_definition_id and row.application_definition_id.value,
            truth.application_definition_id,
        ),
        "errorCode": (state.error_code, truth.error_code),
        "errorMessage": (state.error_message, truth.error_message),
    }
    return [
        f"{name} is {_said(is_)}, and should be {_said(true)}" for name, (is_, true) in pairs.items() if is_ != true
    ]


def _said(value: object) -> str:
    return "not there" if value is None else str(value)


def _inbox(life: Life, heard: Collection[tuple[int, int]], entries: Sequence[InboxEntry]) -> list[str]:
    """Compare the inbox. An event that was sent and not heard to be recorded may be there, and may be missing."""
    by_body: dict[str, list[InboxEntry]] = defaultdict(list)
    for entry in entries:
        by_body[entry.body].append(entry)
    found = []
    for event in life.events:
        kept = by_body.pop(event.body.decode(), [])
        name = f"{event.event_type} {event.provisioning_state} of {event.time}"
        if not kept and (event.customer, event.number) in heard:
            found.append(f"{name} is missing, though it was answered with 200")
        if len(kept) > 1:
            found.append(f"{name} is there {len(kept)} times")
        found += [f"{name} is kept as {flaw}" for entry in kept for flaw in _entry(event, entry)]
    return found + [f"the entry {entry.order} was never sent so" for unknown in by_body.values() for entry in unknown]


def _entry(event: Event, entry: InboxEntry) -> list[str]:
    flaws = []
    if not entry.order.startswith(f"{event.time}|{event.place}|"):
        flaws.append(f"{entry.order}, which is another time or place")
    if (entry.event_type, entry.provisioning_state) != (event.event_type, event.provisioning_state):
        flaws.append(f"{entry.event_type} {entry.provisioning_state}")
    return flaws
