"""The customers' lives: valid, varied, the same under a seed; and what is true of them, checked against the webhook."""

import itertools
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from console.marketplace.lives import Life, Span, lives
from tests import events
from webhook.application import Application, merge
from webhook.notification import Notification

SPAN = Span(datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=30))
LIVES = lives(7, 400, SPAN)
CONTENTS: list[dict[str, Any]] = [json.loads(event.body) for life in LIVES for event in life.events]


def notifications(life: Life) -> list[Notification]:
    """Read a life as the webhook does, at the end of the span, which is the earliest time at which it can."""
    return [Notification.from_body(event.body, now=SPAN.end - timedelta(days=1)) for event in life.events]


@pytest.mark.parametrize("days", [0.01, 1, 3650])
def test_every_event_is_a_valid_notification(days: float) -> None:
    """A simulated Marketplace that sends what a webhook must refuse proves nothing."""
    span = Span(SPAN.start, timedelta(days=days))
    for life in lives(1, 50, span):
        for event in life.events:
            Notification.from_body(event.body, now=span.end - timedelta(days=1))
            assert span.first <= event.moment <= span.first + span.ticks


def test_the_same_seed_gives_the_same_lives() -> None:
    """A run can be repeated, also on another machine, to see whether a fault is mended."""
    code = (
        "import datetime as d, hashlib; from console.marketplace.lives import *;"
        "span = Span(d.datetime(2025, 1, 1, tzinfo=d.UTC), d.timedelta(days=30));"
        "print(hashlib.sha256(repr(lives(7, 400, span)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert len(digests) == 1
    assert lives(7, 400, SPAN) == LIVES


def test_a_customers_life_does_not_depend_on_how_many_there_are() -> None:
    """A run with fewer customers is a part of the run with more."""
    assert lives(7, 20, SPAN) == LIVES[:20]


def test_another_seed_or_span_has_other_applications() -> None:
    """Runs in the same tables do not get in each other's way."""
    others = [lives(8, 400, SPAN), lives(7, 400, Span(SPAN.start, timedelta(days=31)))]

    keys = [{life.key for life in each} for each in (LIVES, *others)]
    assert len(set.union(*keys)) == 1200


def test_the_truth_is_what_the_webhooks_merge_makes_of_it() -> None:
    """Two ways to the same state, one of them without any code of the webhook's, seldom have the same mistake."""
    for life in LIVES:
        row = reduce(merge, notifications(life), None)
        assert row is not None
        assert described(row) == {
            name: getattr(life.truth, name) for name in life.truth.__slots__ if name not in ("customer", "events")
        }
        assert row.application_id.inbox_partition_key == life.key


def described(row: Application) -> dict[str, object]:
    """Give a row in the words of the truth."""
    state, usage, definition = row.latest.value, row.resource_usage_id, row.application_definition_id
    return {
        "application_id": row.application_id.text,
        "event_type": state.event_type,
        "provisioning_state": state.provisioning_state,
        "event_time": row.event_time,
        "first_event_time": row.first_event_time,
        "plan": row.plan and row.plan.value.model_dump(),
        "resource_usage_id": usage and usage.value,
        "application_definition_id": definition and definition.value,
        "error_code": state.error_code,
        "error_message": state.error_message,
    }


def test_no_two_events_need_their_digest_to_be_told_apart() -> None:
    """Where only the digest decides, what is true is the webhook's own choice, and no simulator can know it."""
    for life in LIVES:
        order = [(event.moment, event.place) for event in life.events]
        assert order == sorted(set(order))
        assert [each.order.rpartition("|")[0] for each in notifications(life)] == [
            f"{event.time}|{event.place}" for event in life.events
        ]


def test_everything_that_is_documented_happens() -> None:
    """All seven events, both flavours, failures with and without details, and purchases under a name used before."""
    assert {(each["eventType"], each["provisioningState"]) for each in CONTENTS} == set(events.PAIRS)
    assert {"plan" in each or "billingDetails" in each for each in CONTENTS} == {True, False}
    assert any("applicationDefinitionId" in each for each in CONTENTS)
    assert {bool(each["error"].get("details")) for each in CONTENTS if "error" in each} == {True, False}
    steps = [[(event.event_type, event.provisioning_state) for event in life.events] for life in LIVES]
    pairs = {pair for life in steps for pair in itertools.pairwise(life)}
    assert (("DELETE", "Deleted"), ("PUT", "Accepted")) in pairs
    assert (("PUT", "Failed"), ("PUT", "Accepted")) in pairs
    assert (("DELETE", "Failed"), ("DELETE", "Deleting")) in pairs
    assert {life[-1] for life in steps} >= set(events.PAIRS) - {("PUT", "Accepted"), ("DELETE", "Deleting")}


def test_everything_that_was_observed_happens() -> None:
    """The shapes on which webhooks stumble: spellings, fractions, fields that are missing."""
    ids = [each["applicationId"] for each in CONTENTS]
    fractions = [re.fullmatch(r".{19}(?:\.(\d+))?Z", each["eventTime"]) for each in CONTENTS]
    digits = {len(match[1] or "") for match in fractions if match}
    assert {text.startswith("/") for text in ids} == {True, False}
    assert {"Microsoft.Solutions" in text for text in ids} == {True, False}
    assert digits == set(range(8))
    assert not any(match and (match[1] or "1").endswith("0") for match in fractions)
    assert any("plan" in each and "billingDetails" not in each for each in CONTENTS if each["eventType"] == "PUT")
    assert any(each.get("plan", {}).get("product", "").endswith("-preview") for each in CONTENTS)
    assert any("plan" not in each and "applicationDefinitionId" not in each for each in CONTENTS)
    moments = [[event.moment for event in life.events] for life in LIVES]
    gaps = {later - earlier for life in moments for earlier, later in itertools.pairwise(life)}
    assert 0 in gaps
    assert gaps & set(range(1, 10))


def test_the_truth_is_written_in_the_words_of_notifications() -> None:
    """A program that reads it needs no other names than those it knows."""
    written = json.loads(LIVES[0].truth.to_json())

    assert written["applicationId"] == LIVES[0].truth.application_id
    assert written["resourceUsageId"] == LIVES[0].truth.resource_usage_id
    assert written["events"] == len(LIVES[0].events)
