"""Which applications are meant: how to say so to Table Storage, which then filters, and whether a row is one."""

from dataclasses import dataclass
from datetime import datetime

from console.publisher.row import TRANSIENT, Row, time_of
from webhook.store import Where


@dataclass(frozen=True, slots=True)
class Selection:
    """What an application must meet, all of it.

    Attributes:
        states: any of these.
        plan: the name of its plan, exactly.
        subscription: the subscription ID, in any casing.
        since: its latest event happened then or later.
        stuck_since: something is under way, and has been since then or longer.
        failed: its deployment or its deletion failed.
    """

    states: tuple[str, ...] = ()
    plan: str | None = None
    subscription: str | None = None
    since: datetime | None = None
    stuck_since: datetime | None = None
    failed: bool = False

    def where(self) -> Where:
        """Give the condition for ManagedApplications."""
        parts: list[str] = []
        parameters: dict[str, str | datetime] = {}

        def add(condition: str, **values: str | datetime) -> None:
            parts.append(condition)
            parameters.update(values)

        def state_of(prefix: str, states: tuple[str, ...]) -> None:
            names = {f"{prefix}{number}": state for number, state in enumerate(states)}
            add("( " + " or ".join(f"provisioningState eq @{name}" for name in names) + " )", **names)

        if self.subscription is not None:
            add("PartitionKey eq @subscription", subscription=self.subscription.strip().lower())
        if self.states:
            state_of("state", self.states)
        if self.failed:
            state_of("failed", ("Failed",))
        if self.plan is not None:
            add("planName eq @plan", plan=self.plan)
        if self.since is not None:
            add("eventTime ge @since", since=self.since)
        if self.stuck_since is not None:
            state_of("transient", TRANSIENT)
            add("eventTime le @stuck", stuck=self.stuck_since)
        return Where(" and ".join(parts), parameters)

    def admits(self, row: Row) -> bool:
        """Tell whether a row is meant: what `where` makes the service decide, for those who hold the row already."""
        time = time_of(row.event_time)
        return (
            (self.subscription is None or row.key.startswith(self.subscription.strip().lower() + "|"))
            and (not self.states or row.state in self.states)
            and (not self.failed or row.failed is not None)
            and (self.plan is None or row.plan == self.plan)
            and (self.since is None or (time is not None and time >= self.since))
            and (self.stuck_since is None or (row.state in TRANSIENT and time is not None and time <= self.stuck_since))
        )
