"""The figures of all applications: what counts, when, and how often."""

import json
import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from console.percentiles import nearest_rank
from console.publisher.figures import LONGEST, Figures, Offer, Summary
from console.publisher.row import Row
from console.publisher.timeline import steps
from tests.console.publisher.stored import NOW, entry, life, row
from tests.unit.test_architecture import CONSOLE, top_level
from webhook.entities import InboxEntry

SINCE = NOW - timedelta(days=30)
HOUR = timedelta(hours=1)


def figures_of(
    rows: list[Row], entries: list[InboxEntry], *, since: datetime = SINCE, stuck: timedelta = 2 * HOUR
) -> Summary:
    """Add up."""
    figures = Figures(NOW, since, stuck)
    for each in rows:
        figures.add_row(each)
    for entry_ in entries:
        figures.add_entry(entry_)
    return figures.summary()


def deployed(entries: list[InboxEntry], since: datetime = SINCE) -> tuple[int, int, list[float]]:
    """Give how many deployments succeeded and failed, and the times of those that are known, all of them equal."""
    found = figures_of([], entries, since=since)
    return found.succeeded, found.failures, [found.times.median] * found.times.measured if found.times else []


# How applications stand


def test_applications_are_counted_by_state_and_plan() -> None:
    """The first thing that a publisher wants to know."""
    found = figures_of(
        [
            row("a"),
            row("b"),
            row("c", "Accepted"),
            row("d", planVersion="2.0.0"),
            row("e", "Failed", planProduct=None, planName=None, planVersion=None),
        ],
        [],
    )

    assert found.applications == 5
    assert found.states == {"Accepted": 1, "Succeeded": 3, "Failed": 1, "Deleting": 0, "Deleted": 0}
    assert found.offers == {
        Offer("orders", "standard", "1.2.0", None): {"Succeeded": 2, "Accepted": 1},
        Offer(None, None, None, None): {"Failed": 1},
        Offer("orders", "standard", "2.0.0", None): {"Succeeded": 1},
    }
    assert next(iter(found.offers)).version == "1.2.0"


def test_an_application_of_the_service_catalog_counts_under_the_name_of_its_definition() -> None:
    """It has no plan, and every customer may have a copy of the definition in a subscription of their own."""
    definition = "/subscriptions/{}/resourceGroups/rg/providers/Microsoft.Solutions/applicationDefinitions/orders"
    bare: dict[str, Any] = {"planPublisher": None, "planProduct": None, "planName": None, "planVersion": None}
    found = figures_of([row(name, **bare, applicationDefinitionId=definition.format(name)) for name in ("a", "b")], [])

    assert found.offers == {Offer(None, None, None, "orders"): {"Succeeded": 2}}
    assert found.to_json()["plans"] == [
        {
            "planProduct": None,
            "planName": None,
            "planVersion": None,
            "applicationDefinitionName": "orders",
            "applications": 2,
            "states": {"Succeeded": 2},
        }
    ]


def test_a_deletion_that_failed_is_told_apart_from_a_deployment_that_did() -> None:
    """One customer waits for the application, the other to be rid of it."""
    found = figures_of([row("a", "Failed"), row("b", "Failed", eventType="DELETE")], [])

    assert found.states["Failed"] == 2
    assert found.failed == {"deployment": 1, "deletion": 1}


def test_a_row_that_somebody_broke_counts_as_unknown() -> None:
    """The figures are still of all the others."""
    found = figures_of([row("a", "Odd"), row("b", ""), Row.of({}), row("c")], [])

    assert found.states["unknown"] == 3
    assert found.applications == sum(found.states.values()) == 4


# What is stuck


@pytest.mark.parametrize("state", ["Accepted", "Deleting"])
def test_what_has_been_under_way_for_too_long_is_stuck(state: str) -> None:
    """And not what has just begun; a moment more than that long is too long, and so is exactly that long."""
    ages = {"new": HOUR, "just": 2 * HOUR - timedelta(microseconds=1), "at": 2 * HOUR, "old": timedelta(days=3)}
    found = figures_of([row(name, state, age=age) for name, age in ages.items()], [])

    assert [(each.row.name, each.lasts) for each in found.longest] == [("old", timedelta(days=3)), ("at", 2 * HOUR)]
    assert found.stuck == 2


@pytest.mark.parametrize("state", ["Succeeded", "Failed", "Deleted"])
def test_what_has_come_to_an_end_is_never_stuck(state: str) -> None:
    """However long ago that was."""
    assert figures_of([row("a", state, age=timedelta(days=300))], []).stuck == 0


def test_of_many_that_are_stuck_those_are_named_that_have_been_longest() -> None:
    """All of them are counted; the list has them all."""
    rows = [row(f"a{hours}", "Accepted", age=hours * HOUR) for hours in (*range(20, 50), *range(3, 20))]
    found = figures_of(rows, [])

    assert found.stuck == 47
    assert [each.row.name for each in found.longest] == [f"a{hours}" for hours in range(49, 49 - LONGEST, -1)]


def test_a_row_without_a_time_is_not_stuck() -> None:
    """Nobody can say for how long."""
    assert figures_of([row("a", "Accepted", order=None), row("b", "Accepted", order="soon")], []).stuck == 0


# Why things failed


def test_outer_codes_and_the_codes_that_caused_them_are_counted_apart() -> None:
    """The outer one is nearly always the same, and says nothing."""
    error = {
        "code": "DeploymentFailed",
        "details": [{"code": "Quota", "details": [{"code": "Cores"}]}, {"code": "Sku"}],
    }
    other = {"code": "DeploymentFailed", "details": [{"code": "Quota"}, {"code": "Quota"}]}
    found = figures_of([row("a", "Failed", error=json.dumps(error)), row("b", "Failed", error=json.dumps(other))], [])

    assert found.codes == {"DeploymentFailed": 2}
    assert found.causes == {"Quota": 2, "Cores": 1, "Sku": 1}
    assert next(iter(found.causes)) == "Quota"
    assert found.without_code == 0


def test_an_error_that_is_not_json_counts_by_its_column() -> None:
    """Whoever broke the one left the other."""
    found = figures_of(
        [row("a", "Failed", error="{", errorCode="X"), row("b", "Failed"), row("c", error='{"code":1}')], []
    )

    assert (found.codes, found.causes, found.without_code) == ({"X": 1}, {}, 1)


# How deployments go


def test_a_deployment_lasts_from_accepted_to_its_end() -> None:
    """What a customer waits for."""
    entries = life("a", ("PUT Accepted", 0), ("PUT Succeeded", 7), ("PATCH Succeeded", 90))

    assert deployed(entries) == (1, 0, [420])


def test_one_that_is_tried_again_counts_once_for_each_attempt() -> None:
    """Both the failure and the success are true; the time is that of the attempt which succeeded."""
    entries = life("a", ("PUT Accepted", 0), ("PUT Failed", 9), ("PUT Accepted", 60), ("PUT Succeeded", 65))

    assert deployed(entries) == (1, 1, [300])


def test_an_upgrade_counts_like_a_new_application() -> None:
    """It is deployed just so, and fails just so."""
    entries = life("a", ("PUT Accepted", 0), ("PUT Succeeded", 5), ("PUT Accepted", 900), ("PUT Succeeded", 905))

    assert deployed(entries) == (2, 0, [300, 300])


def test_an_end_without_a_beginning_counts_and_has_no_time() -> None:
    """The notification of the beginning got lost; the deployment did not."""
    assert deployed(life("a", ("PUT Succeeded", 0))) == (1, 0, [])
    assert deployed(life("a", ("PUT Accepted", 0), ("PUT Failed", 5), ("PUT Succeeded", 9))) == (1, 1, [])


def test_of_two_beginnings_in_a_row_the_later_counts() -> None:
    """The end of the first attempt was never told."""
    assert deployed(life("a", ("PUT Accepted", 0), ("PUT Accepted", 30), ("PUT Succeeded", 40))) == (1, 0, [600])


def test_a_beginning_does_not_outlive_its_application() -> None:
    """Else a customer who buys again after a year has waited a year."""
    entries = life("a", ("PUT Accepted", 0), ("DELETE Deleting", 5), ("DELETE Deleted", 9), ("PUT Succeeded", 60))

    assert deployed(entries) == (1, 0, [])


def test_an_application_does_not_begin_what_another_ends() -> None:
    """They come one after the other."""
    assert deployed([*life("a", ("PUT Accepted", 0)), *life("b", ("PUT Succeeded", 5))]) == (1, 0, [])


def test_events_at_the_same_moment_are_in_the_order_of_the_life_cycle() -> None:
    """The order keys see to that; no time passes."""
    entries = sorted(life("a", ("PUT Succeeded", 0), ("PUT Accepted", 0)), key=lambda each: each.order)

    assert deployed(entries) == (1, 0, [0])


def test_what_is_still_under_way_and_deletions_are_no_deployments_that_ended() -> None:
    """The rate is of those of which one knows how they went."""
    assert deployed(life("a", ("PUT Accepted", 0), ("DELETE Deleting", 1), ("DELETE Failed", 2))) == (0, 0, [])
    assert figures_of([], []).success_rate is None


def test_a_day_that_does_not_exist_is_left_out() -> None:
    """Only somebody who wrote into the table by hand can have done that."""
    entries = [
        entry("a", "PUT Accepted", "2026-03-01T10:00:00.0000000Z"),
        entry("a", "PUT Succeeded", "2026-03-32T10:00:00.0000000Z"),
    ]

    assert deployed(entries) == (0, 0, [])
    assert [step.entry.provisioning_state for step in steps(entries)] == ["Accepted"]


# The period


def test_a_deployment_belongs_to_the_period_in_which_it_ended() -> None:
    """To the moment; and its beginning may lie before, up to a day."""
    before = life("a", ("PUT Accepted", -60), ("PUT Succeeded", -1), start=SINCE)
    within = life("b", ("PUT Accepted", -60), ("PUT Succeeded", 0), start=SINCE)
    long = life("c", ("PUT Accepted", -24 * 60 - 1), ("PUT Failed", -600), ("PUT Succeeded", 9), start=SINCE)

    assert deployed(before) == (0, 0, [])
    assert deployed(within) == (1, 0, [3_600])
    assert deployed(long) == (1, 0, [])


def test_it_does_not_matter_whether_older_notifications_come_too() -> None:
    """The summary has the service leave them out, the report needs them for the life cycles: the figures are one."""
    entries = [
        each
        for number in range(40)
        for each in life(
            f"a{number}", ("PUT Accepted", 0), ("PUT Succeeded", 17), start=SINCE + timedelta(hours=12 * (number - 20))
        )
    ]
    recent = [each for each in entries if each.order >= Figures(NOW, SINCE, HOUR).reads_from]

    assert len(recent) < len(entries)
    assert figures_of([], recent) == figures_of([], entries)


def test_days_are_those_on_which_deployments_ended_in_utc() -> None:
    """A day ends for all publishers at the same time."""
    start = datetime(2026, 3, 20, 23, 50, tzinfo=UTC)
    entries = [
        *life("a", ("PUT Accepted", 0), ("PUT Succeeded", 9), start=start),
        *life("b", ("PUT Accepted", 0), ("PUT Failed", 10), start=start),
    ]

    assert figures_of([], entries).days == {date(2026, 3, 20): (1, 0), date(2026, 3, 21): (0, 1)}


@pytest.mark.parametrize(
    ("days", "unit", "count"),
    [
        (0, "day", 1),
        (30, "day", 31),
        (61, "day", 62),
        (62, "week", 10),
        (400, "week", 58),
        (800, "month", 27),
        (9_000, "year", 26),
    ],
)
def test_a_long_period_is_divided_more_coarsely(days: int, unit: str, count: int) -> None:
    """A chart has room for so many columns; nothing is counted twice or lost."""
    since = NOW - timedelta(days=days)
    entries = [entry(f"a{number}", "PUT Succeeded", NOW - timedelta(days=number)) for number in range(days + 1)]
    found = figures_of([], entries, since=since)
    called, parts = found.columns(62)

    assert (called, len(parts)) == (unit, count)
    assert (parts[0].first, parts[-1].last) == (since.date(), NOW.date())
    assert all(after.first - before.last == timedelta(days=1) for before, after in pairwise(parts))
    assert sum(part.succeeded for part in parts) == days + 1


def test_percentiles_are_by_nearest_rank() -> None:
    """Each is a time that somebody really waited."""
    assert [nearest_rank(range(1, 101), share) for share in (0.0, 0.5, 0.95, 1.0)] == [1, 50, 95, 100]
    assert nearest_rank([7], 0.95) == 7
    assert nearest_rank([1, 2], 0.5) == 1


def test_times_are_given_with_their_distribution() -> None:
    """A median alone hides that there are two kinds of them."""
    minutes = [0.5, 1, 4, 5, 30, 150]
    entries = [each for m in minutes for each in life(f"a{m}", ("PUT Accepted", 0), ("PUT Succeeded", m))]
    times = figures_of([], entries).times

    assert times is not None
    assert (times.measured, times.median, times.p95, times.slowest) == (6, 240, 9_000, 9_000)
    assert list(times.divided) == [1, 2, 1, 0, 0, 1, 0, 1]


def test_the_json_holds_every_figure() -> None:
    """Programs read what people read."""
    entries = life("a", ("PUT Accepted", 0), ("PUT Succeeded", 7), ("PUT Accepted", 30), ("PUT Failed", 40))
    rows = [row("a", "Failed", error='{"code":"X","details":[{"code":"Y"}]}'), row("b", "Deleting", age=3 * HOUR)]
    found = json.loads(json.dumps(figures_of(rows, entries).to_json()))

    assert (found["time"], found["since"]) == ("2026-03-31T12:00:00.000000Z", "2026-03-01T12:00:00.000000Z")
    assert found["applications"] == 2
    assert found["states"] == {"Accepted": 0, "Succeeded": 0, "Failed": 1, "Deleting": 1, "Deleted": 0}
    assert found["stuck"]["afterSeconds"] == 7_200
    assert [(each["provisioningState"], each["seconds"]) for each in found["stuck"]["longest"]] == [
        ("Deleting", 10_800)
    ]
    assert found["errors"] == {"codes": {"X": 1}, "causes": {"Y": 1}, "withoutCode": 0}
    assert found["deployments"] == {
        "succeeded": 1,
        "failed": 1,
        "successRate": 0.5,
        "endedBefore": None,
        "days": {"2026-03-26": {"succeeded": 1, "failed": 1}},
        "seconds": {"measured": 1, "median": 420, "p95": 420, "slowest": 420},
    }


@pytest.mark.parametrize(
    ("rows", "day"),
    [
        ([], None),
        ([row("a", age=timedelta(days=40)), row("b", "Failed", age=timedelta(days=35))], date(2026, 2, 24)),
        ([row("a", age=timedelta(days=40)), row("b", "Accepted", age=timedelta(days=35))], date(2026, 2, 19)),
        ([row("a", "Failed", age=timedelta(days=40), eventType="DELETE")], None),
        ([row("a", "Deleted", age=timedelta(days=40))], None),
        ([row("a", eventType="PATCH", age=timedelta(days=40))], None),
        ([row("a", age=timedelta(days=29)), row("b", order="2099-01-01T00:00:00.0000000Z|1|00000000")], None),
        ([row("a", order="1999-13-41T00:00:00.0000000Z|1|00000000")], None),
        ([row("a", age=timedelta(days=40)), row("b", order="2026-02-31T"), row("c", order=None)], date(2026, 2, 19)),
    ],
)
def test_rows_know_when_a_deployment_ended_before_the_period(rows: list[Row], day: date | None) -> None:
    """Whoever finds none in the period should know where to look; updates, deletions and nonsense end no deployment."""
    assert figures_of(rows, []).ended_before == day


def test_a_million_notifications_take_seconds_and_little_memory() -> None:
    """A tenth of them here: a few microseconds each, and eight bytes for each time to deploy."""
    pairs = (("PUT Accepted", 0), ("PUT Succeeded", 7), *(("PATCH Succeeded", 60 + n) for n in range(8)))
    entries = life("a", *pairs)
    figures = Figures(NOW, SINCE, HOUR)
    started = time.process_time()
    for number in range(10_000):
        for each in entries:
            figures.add_entry(each._replace(partition_key=str(number)))

    assert time.process_time() - started < 3
    assert figures.summary().succeeded == 10_000


@pytest.mark.parametrize("module", ["causes", "charts", "figures", "page", "timeline"])
def test_what_is_pure_looks_at_no_clock_and_no_table(module: str) -> None:
    """The time and the rows are handed in, so that every figure can be tried."""
    path = CONSOLE[f"publisher/{module}"]

    assert not top_level(path) & {"asyncio", "os", "socket", "sys", "time"}
    assert ".now(" not in path.read_text("utf-8")
