"""What the webhook asks of the place that keeps its data, and how that place says no.

Pure: a protocol, its values and its errors. `tables` keeps the promise on Azure Table Storage; nothing here knows how.
Every write has a condition; a store has no operation that overwrites blindly.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import NamedTuple, Protocol

from webhook import WebhookError
from webhook.application import Application
from webhook.notification import ApplicationId, Notification
from webhook.rejection import Rejection


class ConflictError(WebhookError):
    """The condition of a write did not hold: the row exists, was changed, or is gone. Read, and decide again."""


class StoreError(WebhookError):
    """The store could not do what it was asked; the message says to an operator what failed, and holds no secret.

    Attributes:
        cause: for programs that know a remedy: `unreachable`, `no answer`, `unreadable`, `no token`, `foreign` (a row
            of somebody else's), or the status and the service's own word for it, such as `403 AuthorizationFailure`;
            else empty.
    """

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class Versioned(NamedTuple):
    """A row as it was read or written, and the version that a replacement must name (an ETag)."""

    application: Application
    version: str


class Where(NamedTuple):
    """A condition on rows, for the service to decide.

    Attributes:
        filter: in OData, each of its words and brackets between spaces: `eventTime ge @since`. Empty: all rows.
        parameters: the values of the words with an @.
    """

    filter: str
    parameters: Mapping[str, str | datetime]


EVERYWHERE = Where("", {})
"""The condition that every row meets."""


class Store(Protocol):
    """Three tables: inbox, applications and rejections.

    Every operation raises StoreError if the store is down, slow, throttling or refusing, or if the row is not one that
    this app wrote. What was asked may then have been done or not.
    """

    async def add_notification(self, notification: Notification, received_at: datetime) -> bool:
        """Add to the inbox; False, and nothing is changed, where it is there already."""

    async def read_application(self, application_id: ApplicationId) -> Versioned | None:
        """Read an application's row; None where there is none."""

    async def insert_application(self, application: Application) -> Versioned:
        """Write a row where there is none; ConflictError where there is one."""

    async def replace_application(self, application: Application, version: str) -> Versioned:
        """Replace the row if it still has that version; ConflictError where it was changed or is gone."""

    async def add_rejection(self, rejection: Rejection) -> bool:
        """Keep a refused body; False where the same one was kept today."""


class Tally:
    """How many requests the store needed."""

    def __init__(self) -> None:
        self.requests = 0


tally: ContextVar[Tally | None] = ContextVar("tally", default=None)
"""The tally of the call that is being served; a store counts every request that it sends, repeated ones too."""


def count_request() -> None:
    """Add one request to the tally of the current call."""
    if current := tally.get():
        current.requests += 1
