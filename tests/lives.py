"""Imaginary customers' lives: the events of many applications as the Marketplace sends them, and what comes of it.

A seed gives the same lives every time. Real shapes: either flavour, both spellings of the provider, with and without
the leading slash, 0 to 7 fractional digits, fields missing from later events.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from tests import events
from webhook.application import Application, merge
from webhook.entities import InboxEntry
from webhook.notification import Notification

_PLACES = {pair: place for place, pair in enumerate(events.PAIRS)} | {("PUT", "Failed"): 1, ("PUT", "Succeeded"): 1}
_START = datetime(2026, 1, 1, tzinfo=UTC)


def lives(seed: int, applications: int) -> list[list[bytes]]:
    """Give the bodies of the events of so many applications, each one's in the order in which they happened."""
    chance = random.Random(seed)
    return [_life(chance, number) for number in range(applications)]


def _life(chance: random.Random, number: int) -> list[bytes]:
    marketplace = chance.random() < 0.7
    hundred_ns = chance.choice(["", "3", "7"])
    moment = _START + timedelta(minutes=chance.randrange(100_000))
    pairs = [("PUT", "Accepted")]
    if chance.random() < 0.3:
        pairs.append(("PUT", "Failed"))
    pairs.append(("PUT", "Succeeded"))
    pairs += [("PATCH", "Succeeded")] * chance.randrange(3)
    if chance.random() < 0.6:
        pairs.append(("DELETE", "Deleting"))
        if chance.random() < 0.4:
            pairs.append(("DELETE", "Failed"))
        pairs.append(("DELETE", "Deleted"))
        if chance.random() < 0.3:
            pairs += [("PUT", "Accepted"), ("PUT", "Succeeded")]  # bought again under the same name
    life = []
    for position, (event_type, state) in enumerate(pairs):
        ties = position and _PLACES[pairs[position - 1]] < _PLACES[event_type, state]  # equal times are common
        moment += timedelta(microseconds=chance.choice([0, 0, 1, 10**9] if ties else [1, 10**6, 10**9]))
        later = position and event_type != "PUT"
        life.append(
            json.dumps(
                events.content(
                    event_type,
                    state,
                    applicationId=_spelling(chance, number),
                    eventTime=_timestamp(moment, hundred_ns),
                    plan=events.PLAN | {"version": f"1.{position}.0"} if marketplace and not later else None,
                    billingDetails={"resourceUsageId": events.USAGE_ID}
                    if marketplace and chance.random() < 0.8
                    else None,
                    applicationDefinitionId=None if marketplace or later else events.DEFINITION_ID,
                )
            ).encode()
        )
    return life


def _spelling(chance: random.Random, number: int) -> str:
    text = events.application_id(f"App-{number}")
    if chance.random() < 0.3:
        text = text.replace("Microsoft.Solutions", "microsoft.solutions").replace("App-", "app-")
    return text.removeprefix("/") if chance.random() < 0.2 else text


def _timestamp(moment: datetime, hundred_ns: str) -> str:
    digits = f"{moment:%f}{hundred_ns}".rstrip("0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}" + (f".{digits}" if digits else "") + "Z"


def rows(bodies: Iterable[bytes]) -> dict[str, Application]:
    """Give the row that each application must have in the end."""
    found: dict[str, Application] = {}
    for body in bodies:
        event = Notification.from_body(body, now=datetime.now(UTC))
        key = event.application_id.inbox_partition_key
        found[key] = merge(found.get(key), event)
    return found


def inbox(bodies: Iterable[bytes]) -> dict[str, list[str]]:
    """Give the order keys that the inbox must hold in the end, by partition."""
    found: dict[str, set[str]] = defaultdict(set)
    for body in bodies:
        event = Notification.from_body(body, now=datetime.now(UTC))
        found[event.application_id.inbox_partition_key].add(event.order)
    return {key: sorted(orders) for key, orders in found.items()}


def by_partition(entries: Iterable[InboxEntry]) -> dict[str, list[str]]:
    """Give the order keys that an inbox holds, by partition."""
    found: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        found[entry.partition_key].append(entry.order)
    return dict(found)
