"""What a run did, for people and for programs: the table at the end, and the same as JSON.

Never prints a URL that is not masked: it is handed none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from console.marketplace.delivery import Tally
from console.marketplace.schedule import Delivery
from console.percentiles import nearest_rank


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did, in figures.

    Attributes:
        events: that happened to the customers.
        recorded: those that were heard to be recorded.
        lost: those that never will be: dropped or given up, whichever delivery of them it was.
        latency: in milliseconds, by name; empty where nothing was answered.
    """

    customers: int
    events: int
    recorded: int
    lost: int
    tally: Tally
    seconds: float
    latency: Mapping[str, float]

    @classmethod
    def of(cls, deliveries: Sequence[Delivery], customers: int, tally: Tally, seconds: float) -> "Summary":
        """Sum up; at any time, also in the middle of it."""
        events = sum(not delivery.repeated for delivery in deliveries)
        unsettled = len(deliveries) - tally.settled
        lost = 0 if unsettled else events - len(tally.heard)
        return cls(customers, events, len(tally.heard), lost, tally, seconds, _latency(tally.seconds))

    def causes(self) -> str:
        """Say why events were lost."""
        found = [
            f"{number:,} deliveries dropped after {status}" for status, number in sorted(self.tally.dropped.items())
        ]
        if self.tally.given_up:
            found.append(f"{self.tally.given_up:,} given up after 10 hours")
        return ", ".join(found)

    def to_json(self) -> dict[str, Any]:
        """Give it for programs."""
        tally = self.tally
        return {
            "customers": self.customers,
            "events": self.events,
            "recorded": self.recorded,
            "lost": self.lost,
            "attempts": tally.attempts,
            "repeatedDeliveries": tally.repeated,
            "overtakenDeliveries": tally.overtaken,
            "lostAnswers": tally.lost_answers,
            "statuses": _sorted(tally.statuses),
            "retries": _sorted(tally.retries),
            "unreachable": _sorted(tally.unreachable),
            "dropped": _sorted(tally.dropped),
            "givenUp": tally.given_up,
            "attemptsByUrl": [tally.by_url[number] for number in sorted(tally.by_url)],
            "latencyMs": dict(self.latency),
            "seconds": round(self.seconds, 3),
        }

    def table(self) -> Table:
        """Give it for people."""
        tally = self.tally
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(overflow="fold")

        def row(name: str, number: str | int, remark: str = "") -> None:
            table.add_row(name, f"{number:,}" if isinstance(number, int) else number, remark)

        row("customers", self.customers)
        row("events", self.events, f"{self.recorded:,} recorded" + (f", {self.lost:,} lost" if self.lost else ""))
        row("deliveries", tally.attempts, "requests, retries included")
        row("  repeated", tally.repeated, "events that were delivered once more for no reason")
        row("  overtaken", tally.overtaken, "held back until a later event was out")
        row("  answer lost", tally.lost_answers, "recorded or not: the Marketplace did not hear it")
        row("retries", tally.retries.total())
        for cause, number in sorted(tally.retries.items()):
            row(f"  {cause}", number)
        row("dropped", tally.dropped.total(), "at once, by their status" if tally.dropped else "")
        for status, number in sorted(tally.dropped.items()):
            row(f"  {status}", number)
        row("given up", tally.given_up, "after 10 hours" if tally.given_up else "")
        row("statuses", tally.statuses.total())
        for status, number in sorted(tally.statuses.items()):
            row(f"  {status}", number)
        for reason, number in sorted(tally.unreachable.items()):
            row("  no answer", number, reason)
        if self.latency:
            row("latency", "ms")
            for name, milliseconds in self.latency.items():
                row(f"  {name}", f"{milliseconds:,.1f}")
        row("time", f"{self.seconds:,.1f} s", f"{tally.attempts / max(self.seconds, 0.001):,.0f} requests a second")
        return table


def _sorted(counts: Mapping[Any, int]) -> dict[str, int]:
    return {str(name): counts[name] for name in sorted(counts)}


def _latency(seconds: Sequence[float]) -> dict[str, float]:
    """Give percentiles in milliseconds."""
    ranked = sorted(seconds)
    if not ranked:
        return {}
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "slowest": 1.0}
    return {name: round(1000 * nearest_rank(ranked, share), 1) for name, share in shares.items()}
