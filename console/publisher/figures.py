"""The figures of all applications: how many stand how, what is stuck and why things failed, and how deployments go.

Pure: it is told rows and notifications one by one, in any number, and the time; it knows no tables and no clock. How
applications stand is of now. How deployments go is of a period, and a deployment belongs to it if it ended in it,
whenever it began: one that is tried again counts once for each attempt, and an upgrade counts like a new application.
Percentiles are by nearest rank: each is a time that a deployment really took.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from heapq import heappush, heappushpop
from itertools import pairwise
from typing import Any, NamedTuple, get_args

from console.percentiles import nearest_rank
from console.publisher.causes import causes
from console.publisher.row import TRANSIENT, Row, order_text, time_of, utc_text
from console.publisher.timeline import Operation, ended, meaning
from webhook.entities import InboxEntry
from webhook.notification import ProvisioningState
from webhook.notification import time_of as order_time

LOOK_BACK = timedelta(days=1)
"""How far before the period notifications are of use: as the beginnings of deployments that ended in it."""

STATES: tuple[str, ...] = get_args(ProvisioningState)
LONGEST = 10
"""How many of the applications that are stuck are named: those that have been longest."""

BOUNDS = (60, 300, 600, 1_200, 1_800, 3_600, 7_200)
"""Seconds at which the times to deploy are divided."""


class Offer(NamedTuple):
    """What was bought: a plan of the Marketplace in a version, or a definition of the service catalog."""

    product: str | None
    plan: str | None
    version: str | None
    definition: str | None

    @classmethod
    def of(cls, row: Row) -> "Offer":
        """Tell it from a row. Of a definition, the name counts, as each customer may have a copy of it."""
        if row.plan_product or row.plan or row.plan_version or not row.application_definition_id:
            return cls(row.plan_product, row.plan, row.plan_version, None)
        return cls(None, None, None, row.application_definition_id.rpartition("/")[2])

    def to_json(self) -> dict[str, str | None]:
        """Give it for programs, by the names of the table's columns; a definition has its name, and not its ID."""
        return {
            "planProduct": self.product,
            "planName": self.plan,
            "planVersion": self.version,
            "applicationDefinitionName": self.definition,
        }


class Stuck(NamedTuple):
    """An application in which something has been under way for too long."""

    row: Row
    lasts: timedelta


class Outcomes(NamedTuple):
    """How many deployments ended how, from one day to another, both included."""

    first: date
    last: date
    succeeded: int
    failed: int


class Times(NamedTuple):
    """How long deployments took that succeeded, in seconds; `divided` counts them by BOUNDS, the rest at its end."""

    measured: int
    median: float
    p95: float
    slowest: float
    divided: Sequence[int]


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures.

    Attributes:
        states: applications by state, every known state among them.
        failed: of those that failed, how many by what failed.
        offers: applications by what was bought and state, the most frequent first.
        stuck: how many applications are; `longest` are those that have been longest.
        codes: of the outer errors of what failed, by the number of applications.
        causes: of the errors nested in those, likewise.
        days: how many deployments succeeded and failed, by the day (UTC) on which they ended, where any did.
        times: None where none that succeeded has a known beginning.
        ended_before: the day (UTC) before the period on which the newest deployment ended that is still an
            application's latest event; None where there is none. Others may have ended later: rows do not know them.
    """

    now: datetime
    since: datetime
    stuck_after: timedelta
    applications: int
    states: Mapping[str, int]
    failed: Mapping[Operation, int]
    offers: Mapping[Offer, Mapping[str, int]]
    stuck: int
    longest: Sequence[Stuck]
    codes: Mapping[str, int]
    causes: Mapping[str, int]
    without_code: int
    days: Mapping[date, tuple[int, int]]
    times: Times | None
    ended_before: date | None

    @property
    def succeeded(self) -> int:
        """How many deployments succeeded in the period."""
        return sum(succeeded for succeeded, _ in self.days.values())

    @property
    def failures(self) -> int:
        """How many deployments failed in the period."""
        return sum(failed for _, failed in self.days.values())

    @property
    def success_rate(self) -> float | None:
        """The share of deployments that succeeded; None where none ended."""
        ended = self.succeeded + self.failures
        return self.succeeded / ended if ended else None

    def columns(self, most: int) -> tuple[str, list[Outcomes]]:
        """Divide the period into at most so many days, or else weeks, months or years; the unit comes first."""
        first, last = self.since.date(), max([self.now.date(), *self.days])
        for unit in ("day", "week", "month"):
            if len(starts := _starts(first, last, unit)) <= most:
                break
        else:
            unit, starts = "year", _starts(first, last, "year")[-most:]
        ends = [start - timedelta(days=1) for start in starts[1:]] + [last]
        counts = [[0, 0] for _ in starts]
        for day, (succeeded, failed) in self.days.items():
            if (number := bisect_left(ends, day)) < len(ends) and day >= starts[0]:
                counts[number][0] += succeeded
                counts[number][1] += failed
        return unit, [Outcomes(*each) for each in zip(starts, ends, *zip(*counts, strict=True), strict=True)]

    def to_json(self) -> dict[str, Any]:
        """Give it for programs."""
        times = self.times
        return {
            "time": utc_text(self.now),
            "since": utc_text(self.since),
            "applications": self.applications,
            "states": dict(self.states),
            "failed": dict(self.failed),
            "plans": [
                {**offer.to_json(), "applications": sum(states.values()), "states": dict(states)}
                for offer, states in self.offers.items()
            ],
            "stuck": {
                "afterSeconds": self.stuck_after.total_seconds(),
                "applications": self.stuck,
                "longest": [
                    {
                        "applicationId": each.row.application_id,
                        "provisioningState": each.row.state,
                        "eventTime": each.row.event_time,
                        "seconds": round(each.lasts.total_seconds(), 3),
                    }
                    for each in self.longest
                ],
            },
            "errors": {"codes": dict(self.codes), "causes": dict(self.causes), "withoutCode": self.without_code},
            "deployments": {
                "succeeded": self.succeeded,
                "failed": self.failures,
                "successRate": self.success_rate,
                "endedBefore": self.ended_before and f"{self.ended_before}",
                "days": {
                    f"{day}": {"succeeded": succeeded, "failed": failed}
                    for day, (succeeded, failed) in self.days.items()
                },
                "seconds": times
                and {"measured": times.measured, "median": times.median, "p95": times.p95, "slowest": times.slowest},
            },
        }


class Figures:
    """Adds up rows and notifications.

    Args:
        now: the time as which ages count.
        since: where the period begins.
        stuck_after: how long something may be under way.
    """

    def __init__(self, now: datetime, since: datetime, stuck_after: timedelta) -> None:
        self._now, self._since, self._stuck_after = now, since, stuck_after
        self._from, self._reads_from = order_text(since), order_text(since - LOOK_BACK)
        self._stuck_since = order_text(now - stuck_after)
        self._applications = 0
        self._states: Counter[str] = Counter()
        self._failed: Counter[Operation] = Counter()
        self._offers: dict[Offer, Counter[str]] = {}
        self._stuck = 0
        self._longest: list[tuple[timedelta, int, Stuck]] = []
        self._codes: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._without_code = 0
        self._application = ""
        self._under_way: dict[Operation, str] = {}
        self._days: dict[str, list[int]] = {}
        self._seconds = array("d")
        self._ended_before = ""

    @property
    def reads_from(self) -> str:
        """The least order key of the notifications that are of use."""
        return self._reads_from

    def add_row(self, row: Row) -> timedelta | None:
        """Count an application; give how long something has been under way in it, if it is stuck."""
        self._applications += 1
        state = row.state if row.state in STATES else "unknown"
        self._states[state] += 1
        self._offers.setdefault(Offer.of(row), Counter())[state] += 1
        if self._ended_before < row.event_time < self._from and _ends_deployment(row):
            self._ended_before = row.event_time
        if row.failed:
            self._failed["deletion" if row.failed == "deletion" else "deployment"] += 1
            self._add_error(row)
        if state not in TRANSIENT or row.event_time > self._stuck_since or (age := row.age(self._now)) is None:
            return None
        self._stuck += 1
        entry = (age, self._stuck, Stuck(row, age))
        (heappush if len(self._longest) < LONGEST else heappushpop)(self._longest, entry)
        return age

    def _add_error(self, row: Row) -> None:
        """Count each code once for an application, however often it is in its error."""
        outer: set[str] = set()
        nested: set[str] = set()
        for cause in causes(row.error_content()):
            if cause.code:
                (nested if cause.depth else outer).add(cause.code)
        if not outer and row.error_code:
            outer.add(row.error_code)
        self._codes.update(outer)
        self._causes.update(nested)
        self._without_code += not outer and not nested

    def add_entry(self, entry: InboxEntry) -> None:
        """Count what a notification ends. Those of an application must come together, by their order keys.

        Those before `reads_from` change nothing, so that it does not matter whether they come too.
        """
        if entry.order < self._reads_from:
            return
        if entry.partition_key != self._application:
            self._application = entry.partition_key
            self._under_way.clear()
        operation, ends, began = meaning(entry, self._under_way)
        if operation != "deployment" or not ends or entry.order < self._from:
            return
        end = time_of(order_time(entry.order))
        if end is None:
            return  # the form is that of an order key, but there is no such day
        day = self._days.setdefault(entry.order[:10], [0, 0])
        if entry.provisioning_state == "Failed":
            day[1] += 1
            return
        day[0] += 1
        if began is not None and (beginning := time_of(order_time(began))) is not None:
            self._seconds.append((end - beginning).total_seconds())

    def summary(self) -> Summary:
        """Give the figures so far."""
        offers = sorted(self._offers.items(), key=lambda each: (-each[1].total(), [part or "" for part in each[0]]))
        known = {state: self._states[state] for state in STATES}
        return Summary(
            now=self._now,
            since=self._since,
            stuck_after=self._stuck_after,
            applications=self._applications,
            states=known | ({"unknown": self._states["unknown"]} if self._states["unknown"] else {}),
            failed={operation: self._failed[operation] for operation in get_args(Operation)},
            offers={offer: dict(states) for offer, states in offers},
            stuck=self._stuck,
            longest=[stuck for *_, stuck in sorted(self._longest, reverse=True)],
            codes=dict(self._codes.most_common()),
            causes=dict(self._causes.most_common()),
            without_code=self._without_code,
            days={date.fromisoformat(day): (each[0], each[1]) for day, each in sorted(self._days.items())},
            times=_times(self._seconds),
            ended_before=(before := time_of(self._ended_before)) and before.date(),
        )


def _ends_deployment(row: Row) -> bool:
    return ended(row.event_type, row.state) == "deployment" and time_of(row.event_time) is not None


def _times(seconds: Sequence[float]) -> Times | None:
    if not seconds:
        return None
    ranked = array("d", sorted(seconds))
    at = [0, *(bisect_left(ranked, bound) for bound in BOUNDS), len(ranked)]
    return Times(
        len(ranked),
        nearest_rank(ranked, 0.5),
        nearest_rank(ranked, 0.95),
        ranked[-1],
        [after - before for before, after in pairwise(at)],
    )


def _starts(first: date, last: date, unit: str) -> list[date]:
    """Give the first day of each part of a time; the first part may begin in the middle of a week, month or year."""
    found, day = [], first
    while day <= last:
        found.append(day)
        match unit:
            case "day":
                day += timedelta(days=1)
            case "week":
                day += timedelta(days=7 - day.weekday())
            case "month":
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            case _:
                day = date(day.year + 1, 1, 1)
    return found
