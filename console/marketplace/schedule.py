"""When each event is delivered, how often, and what goes wrong on the way: a plan that is made before anything is sent.

Pure: the same lives, seed and faults give the same plan. What a webhook answers decides only how much of the plan is
needed. Times are seconds of the Marketplace's time; how fast that passes is for `delivery` to say.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from console.marketplace.lives import Event, Life, Span

WINDOW = 10 * 3_600.0
"""Seconds for which the Marketplace delivers an event again, by
https://learn.microsoft.com/azure/azure-resource-manager/managed-applications/publish-notifications."""

FIRST_PAUSE, GROWTH, JITTER = 30.0, 1.6, 0.2
"""The pauses are not documented. Ours grow, jitter included: even the shortest is longer than the longest before it."""

TOGETHER = 0.25
"""The share of repeated deliveries that are due at the same time as the first."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How often something goes wrong, each a share from 0 to 1.

    Attributes:
        duplicates: events that are delivered twice, whatever the answer to the first was.
        reorder: deliveries that are held back until a later event of the same customer is out.
        lost_answers: attempts whose answer is not heard.
    """

    duplicates: float = 0.0
    reorder: float = 0.0
    lost_answers: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of a delivery, made if none before it was heard to be the last.

    Attributes:
        pause: seconds since the attempt before.
        lost: whether its answer is not heard.
        route: from 0 to below 1, which of several URLs it goes to.
    """

    pause: float
    lost: bool
    route: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that is to be delivered.

    Attributes:
        due: seconds after the beginning.
        repeated: whether the event is delivered by another delivery too, which counts as the first.
        overtaken: whether it is held back until a later event is out.
        attempts: all until the Marketplace gives up.
    """

    event: Event
    due: float
    repeated: bool
    overtaken: bool
    attempts: tuple[Attempt, ...]


def plan(lives: Sequence[Life], seed: int, span: Span, faults: Faults, *, within: float) -> list[Delivery]:
    """Give all deliveries in the order in which they are due.

    Args:
        within: seconds into which the span of the events' times is compressed; quiet times are not waited for.
    """
    found: list[Delivery] = []
    for life in lives:
        due = [(event.moment - span.first) / span.ticks * within for event in life.events]
        for event in life.events:
            chance = random.Random(f"{seed} {event.customer} {event.number} delivery")  # noqa: S311 - imagined
            found.extend(_deliveries(chance, event, due, faults))
    return sorted(found, key=lambda delivery: (delivery.due, delivery.event.moment))


def _deliveries(chance: random.Random, event: Event, due: Sequence[float], faults: Faults) -> list[Delivery]:
    """Give the deliveries of one event. All chances are drawn, so that one fault does not shift the others."""
    later = due[event.number + 1 : event.number + 4]
    overtaken, repeated = chance.random() < faults.reorder, chance.random() < faults.duplicates
    held, together, delay = chance.uniform(30, 1_800), chance.random() < TOGETHER, chance.uniform(0, 3_600)
    overtaker = chance.random()
    when = due[event.number]
    if overtaken and later:
        when = later[int(overtaker * len(later))] + held
    first = Delivery(
        event, when, repeated=False, overtaken=overtaken and bool(later), attempts=_attempts(chance, faults)
    )
    if not repeated:
        return [first]
    again = Delivery(
        event,
        when + (0.0 if together else delay),
        repeated=True,
        overtaken=False,
        attempts=_attempts(chance, faults),
    )
    return [first, again]


def _attempts(chance: random.Random, faults: Faults) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(pause, chance.random() < faults.lost_answers, chance.random()) for pause in (0.0, *pauses(chance))
    )


def pauses(chance: random.Random) -> list[float]:
    """Give the growing, jittered pauses between attempts, until 10 hours have passed."""
    found: list[float] = []
    pause, passed = FIRST_PAUSE, 0.0
    while True:
        jittered = pause * chance.uniform(1 - JITTER, 1 + JITTER)
        passed += jittered
        if passed > WINDOW:
            return found
        found.append(jittered)
        pause *= GROWTH
