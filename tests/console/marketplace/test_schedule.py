"""The plan: made before anything is sent, the same under a seed, each fault as often as it was asked for."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from console.marketplace.lives import Span, lives
from console.marketplace.schedule import FIRST_PAUSE, GROWTH, JITTER, WINDOW, Delivery, Faults, pauses, plan

SPAN = Span(datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=30))
LIVES = lives(7, 400, SPAN)
EVENTS = sum(len(life.events) for life in LIVES)


def planned(seed: int = 7, **shares: float) -> list[Delivery]:
    """Give the plan of an hour."""
    return plan(LIVES, seed, SPAN, Faults(**shares), within=3600)


def test_the_same_seed_gives_the_same_plan() -> None:
    """Due times, pauses, faults and routes: all of it is decided before the first request."""
    assert planned(duplicates=0.2, reorder=0.2, lost_answers=0.2) == planned(
        duplicates=0.2, reorder=0.2, lost_answers=0.2
    )
    assert planned(seed=8) != planned()


@pytest.mark.parametrize("seed", range(50))
def test_pauses_grow_until_ten_hours_have_passed(seed: int) -> None:
    """Jitter included, each pause is longer than the one before; one more would end after the window."""
    found = pauses(random.Random(seed))

    assert found == sorted(set(found))
    assert (1 - JITTER) * FIRST_PAUSE <= found[0] <= (1 + JITTER) * FIRST_PAUSE
    assert sum(found) <= WINDOW < sum(found) + found[-1] * GROWTH * (1 + JITTER) / (1 - JITTER)


def test_pauses_are_jittered() -> None:
    """After an outage, the events that it kept back do not come back all at once."""
    assert len({tuple(pauses(random.Random(seed))) for seed in range(50)}) == 50


def test_without_faults_every_event_is_delivered_once_in_the_order_of_time() -> None:
    """What is asked for is what happens, and nothing else."""
    found = planned()

    assert len(found) == EVENTS
    assert [each.event.moment for each in found] == sorted(each.event.moment for each in found)
    assert not any(each.repeated or each.overtaken or any(a.lost for a in each.attempts) for each in found)
    assert 0 <= found[0].due <= found[-1].due <= 3600


def test_all_is_due_at_once_where_no_time_is_given() -> None:
    """A plan without pauses shows how much a webhook takes; the order stays that of time."""
    found = plan(LIVES[:50], 7, SPAN, Faults(), within=0)

    assert {each.due for each in found} == {0.0}
    assert [each.event.moment for each in found] == sorted(each.event.moment for each in found)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_duplicates_are_as_often_as_asked(share: float) -> None:
    """A repeated event is the same bytes, not due before the first delivery, some of them together with it."""
    found = planned(duplicates=share)
    first = {(each.event.customer, each.event.number): each for each in found if not each.repeated}
    repeated = [each for each in found if each.repeated]

    assert len(first) == EVENTS
    assert len(repeated) == pytest.approx(share * EVENTS, rel=0.15)
    delays = [each.due - first[each.event.customer, each.event.number].due for each in repeated]
    assert all(0 <= delay <= 3600 for delay in delays)
    assert not repeated or min(delays) == 0


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_overtaken_events_are_as_often_as_asked(share: float) -> None:
    """An overtaken event is due after a later one of the same customer; the last event of a life cannot be."""
    found = planned(reorder=share)
    natural = {(each.event.customer, each.event.number): each.due for each in planned()}
    overtaken = [each for each in found if each.overtaken]

    assert len(overtaken) == pytest.approx(share * (EVENTS - len(LIVES)), rel=0.15)
    for each in overtaken:
        assert each.due > natural[each.event.customer, each.event.number + 1]


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_answers_are_lost_as_often_as_asked(share: float) -> None:
    """Every attempt can lose its answer, not just the first."""
    attempts = [attempt for each in planned(lost_answers=share) for attempt in each.attempts]

    assert sum(attempt.lost for attempt in attempts) == pytest.approx(share * len(attempts), rel=0.05)


def test_one_fault_does_not_change_the_others() -> None:
    """What differs between two runs is only what was asked to differ."""
    calm, rough = planned(duplicates=0.2), planned(duplicates=0.2, lost_answers=1)

    assert [(each.event, each.due, each.repeated) for each in calm] == [
        (each.event, each.due, each.repeated) for each in rough
    ]
    assert [[a.pause for a in each.attempts] for each in calm] == [[a.pause for a in each.attempts] for each in rough]
