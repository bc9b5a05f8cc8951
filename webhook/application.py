"""The row of an application: what all its notifications together say, whatever the order in which they came.

Pure. A row is a set of last-writer-wins registers by order key, so `merge` is commutative, associative and idempotent:
the same set of notifications gives the same row, however they were ordered, repeated or divided among writers. It never
decides by a clock, by the order of arrival or by a time that storage gave back.
"""

from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from webhook.notification import (
    CODE_LIMIT,
    MESSAGE_LIMIT,
    ApplicationId,
    EventType,
    Notification,
    Plan,
    ProvisioningState,
    shorten,
    time_of,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Register(Generic[T]):
    """A value, and the order key of the event that it is from: of two, the one with the greater key counts."""

    order: str
    value: T


@dataclass(frozen=True, slots=True)
class State:
    """How an event left the application.

    Attributes:
        application_id: as this event spelt it.
        error: as JSON; with `error_code` and `error_message` None where the event carries no error. Each fits into one
            property.
    """

    application_id: ApplicationId
    event_type: EventType
    provisioning_state: ProvisioningState
    error_code: str | None = None
    error_message: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """What is known of an application.

    Attributes:
        latest: from the newest event.
        first_order: the order key of the earliest event seen.
        plan, resource_usage_id, application_definition_id: from the newest event that carries them, since those that
            come later may leave them out.
    """

    latest: Register[State]
    first_order: str
    plan: Register[Plan] | None = None
    resource_usage_id: Register[str] | None = None
    application_definition_id: Register[str] | None = None

    @classmethod
    def of(cls, event: Notification) -> Self:
        """Give the row that a single notification makes."""
        error, billing = event.error, event.billing_details
        state = State(
            event.application_id,
            event.event_type,
            event.provisioning_state,
            shorten(error.code, CODE_LIMIT) if error and error.code else None,
            shorten(error.message, MESSAGE_LIMIT) if error and error.message else None,
            event.error_json,
        )
        return cls(
            Register(event.order, state),
            event.order,
            _register(event.order, event.plan if event.plan != Plan() else None),
            _register(event.order, billing.resource_usage_id if billing else None),
            _register(event.order, event.application_definition_id),
        )

    @property
    def application_id(self) -> ApplicationId:
        """The application, as the latest event spelt it."""
        return self.latest.value.application_id

    @property
    def order(self) -> str:
        """The order key of the latest event."""
        return self.latest.order

    @property
    def event_time(self) -> str:
        """The time of the latest event: UTC with 7 fractional digits."""
        return time_of(self.latest.order)

    @property
    def first_event_time(self) -> str:
        """The earliest event time seen: UTC with 7 fractional digits."""
        return time_of(self.first_order)


def merge(row: Application | None, event: Notification) -> Application:
    """Add a notification to its application's row; None is the row of which nothing is known."""
    return Application.of(event) if row is None else join(row, Application.of(event))


def join(one: Application, other: Application) -> Application:
    """Give the row of all the notifications that went into either of two rows of the same application."""
    return Application(
        _later(one.latest, other.latest),
        min(one.first_order, other.first_order),
        _newest(one.plan, other.plan),
        _newest(one.resource_usage_id, other.resource_usage_id),
        _newest(one.application_definition_id, other.application_definition_id),
    )


def _register(order: str, value: T | None) -> Register[T] | None:
    return Register(order, value) if value else None


def _newest(one: Register[T] | None, other: Register[T] | None) -> Register[T] | None:
    return _later(one, other) if one and other else one or other


def _later(one: Register[T], other: Register[T]) -> Register[T]:
    return one if one.order >= other.order else other
