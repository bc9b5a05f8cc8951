"""What a rebuild found and did, for people and for programs.

Values only: it is told, and never looks at a table itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from console.publisher.grid import cell
from console.publisher.replay import Flaw
from webhook.entities import Difference
from webhook.notification import shorten

Outcome = Literal["inserted", "rewritten", "would be inserted", "would be rewritten", "kept", "left"]


@dataclass(frozen=True, slots=True)
class Finding:
    """An application whose row is not what its notifications say, or cannot be told to be.

    Attributes:
        application: its resource ID or, of what is no application's, the keys.
        outcome: what became of its row.
        missing: there was no row.
        differences: the columns of the row that were not what they should be.
        flaws: notifications that could not be used.
        reason: why the row was left as it is.
        alone: order keys of events that the row names and the inbox lacks.
        kept: the row keeps what it alone knows of these.
    """

    application: str
    outcome: Outcome
    missing: bool = False
    differences: Sequence[Difference] = ()
    flaws: Sequence[Flaw] = ()
    reason: str | None = None
    alone: Sequence[str] = ()
    kept: bool = False

    def lines(self, limit: int | None = None) -> Iterator[str]:
        """Say it, a line for each difference, each of which names the application.

        Args:
            limit: characters of a value that are shown.
        """
        if self.missing:
            yield self._line("the row is missing")
        for order in self.alone:
            yield self._line(f"the row names {order}, which the inbox lacks")
        for column, found, expected in self.differences:
            should = "should not be there" if expected is None else f"should be {_said(expected, limit)}"
            yield self._line(f"{column} is {_said(found, limit)}, and {should}")
        for row_key, reason in self.flaws:
            yield self._line(f"the notification {row_key} cannot be used: {reason}")
        if self.reason:
            yield self._line(f"the row is left as it is: {self.reason}")

    def to_json(self) -> dict[str, Any]:
        """Give it for programs."""
        return {
            "applicationId": self.application,
            "outcome": self.outcome,
            "missing": self.missing,
            "differences": [
                {"column": column, "is": found, "shouldBe": expected} for column, found, expected in self.differences
            ],
            "unusable": [{"order": row_key, "reason": reason} for row_key, reason in self.flaws],
            "reason": self.reason,
            "inboxLacks": list(self.alone),
            "kept": self.kept,
        }

    def _line(self, text: str) -> str:
        return cell(f"{self.application}: {text}")


@dataclass(slots=True)
class Report:
    """What was done until now; it is filled while that is done, so that an interrupted run can say it too.

    Attributes:
        rows: that there are, or should be.
        looked_at: of these.
        notifications: that were read.
        suspected: rows that seemed wrong, and were not looked at a second time yet.
        writing: writes of which it is not known whether they were done.
        unsettled: rows that were written, and not looked at once more yet.
        complete: all that was to be done was done.
    """

    rows: int = 0
    looked_at: int = 0
    notifications: int = 0
    findings: list[Finding] = field(default_factory=list)
    suspected: int = 0
    writing: int = 0
    unsettled: int = 0
    complete: bool = False

    def count(self, outcome: Outcome) -> int:
        """Count the findings with this outcome."""
        return sum(finding.outcome == outcome for finding in self.findings)

    @property
    def kept(self) -> int:
        """Count the rows that keep what they alone know."""
        return sum(finding.kept for finding in self.findings)

    def in_order(self) -> list[Finding]:
        """Give the findings by application."""
        return sorted(self.findings, key=lambda finding: finding.application.lower().lstrip("/"))

    def sentences(self) -> Iterator[str]:
        """Sum up, and say what is to be done."""
        kinds: tuple[Outcome, ...] = ("rewritten", "inserted", "would be rewritten", "would be inserted")
        parts = [f"{number:,} {kind}" for kind in kinds if (number := self.count(kind))]
        if self.kept:
            parts.append(f"{self.kept:,} kept")
        if unclear := sum(finding.outcome == "left" or bool(finding.flaws) for finding in self.findings):
            parts.append(f"{unclear:,} for a person to look at")
        if not parts and self.complete:
            parts.append("none differs from its notifications")
        yield ", ".join([f"{self.looked_at:,} of {self.rows:,} rows looked at", *parts]) + "."
        if any(finding.kept and not finding.flaws for finding in self.findings):
            yield "Kept is what rows alone know, of events that the inbox lacks: `--force` takes it from them."
        if any(finding.kept and finding.flaws for finding in self.findings):
            yield "Where a notification cannot be used, what the row knows is kept: mend or delete that one first."
        if self.suspected:
            yield f"{_rows(self.suspected)} not what the notifications say at first sight, and not looked at again."
        if self.writing:
            yield f"{_rows(self.writing)} being written, each of them whole or not at all."
        if self.unsettled or self.writing:
            yield "What was written was not looked at once more: run it again."

    def to_json(self) -> dict[str, Any]:
        """Give it for programs."""
        return {
            "rows": self.rows,
            "rowsLookedAt": self.looked_at,
            "notifications": self.notifications,
            "rewritten": self.count("rewritten"),
            "inserted": self.count("inserted"),
            "kept": self.kept,
            "suspected": self.suspected,
            "beingWritten": self.writing,
            "notLookedAtAgain": self.unsettled,
            "findings": [finding.to_json() for finding in self.in_order()],
        }


def _said(value: str | None, limit: int | None) -> str:
    text = "not there" if value is None else value or "empty"
    return text if limit is None else shorten(text, limit)


def _rows(number: int) -> str:
    return "1 row was" if number == 1 else f"{number:,} rows were"
