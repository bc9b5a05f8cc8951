"""From a secret and a body to an answer: the order of the steps, and one log line a call.

Settings, secret, size, body; then record, then answer. 200, 400 and 413 are given only for what is durable; whatever
could not be done is a 500, so that the Marketplace tries again. A call without a valid secret touches nothing, and its
body is not read. It knows nothing of HTTP requests, of Azure or of the environment.
"""

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import PurePath
from random import random
from typing import Any, cast

from webhook import secret as secrets
from webhook.notification import InvalidNotificationError, Notification
from webhook.record import Memory, Recorder
from webhook.rejection import BODY_LIMIT, Rejection
from webhook.settings import Settings, Storage
from webhook.store import Store, StoreError, Tally, tally

DEADLINE = 7.0
"""Seconds for the work of one call, so that every answer is out within 8."""

_log = logging.getLogger("webhook")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: the HTTP status, and a JSON object that is problem details (RFC 9457) unless the status is 200."""

    status: HTTPStatus
    content: Mapping[str, Any]

    @property
    def media_type(self) -> str:
        """The media type of the body."""
        return "application/json" if self.status is HTTPStatus.OK else "application/problem+json"

    @property
    def body(self) -> str:
        """The body."""
        return json.dumps(self.content, ensure_ascii=False)


class Receiver:
    """Receives notifications. Making one does nothing; the store is opened by the first call that needs it.

    Args:
        settings: as read from the environment.
        connect: opens the store, in the running event loop.
        now: the time, in UTC.
        deadline: seconds for the work of one call.
    """

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[Storage], Store],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        deadline: float = DEADLINE,
    ) -> None:
        self._settings, self._connect, self._now, self._deadline = settings, connect, now, deadline
        self._warnings = list(settings.warnings)
        self._store: Store | None = None
        self._recorder: Recorder | None = None

    async def receive(self, secret: str | None, body: bytes) -> Reply:
        """Serve one call: always an answer, within 8 seconds, and never an exception.

        Args:
            secret: the query parameter; None where there is none.
            body: the request body, whatever it is.
        """
        started, received_at = time.monotonic(), self._now()
        tally.set(requests := Tally())
        facts: dict[str, Any] = {}
        try:
            async with asyncio.timeout(self._deadline) as limit:
                reply = await self._serve(secret, body, received_at, facts)
        except StoreError as error:
            reply = _fault(facts, "failed", str(error))
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the Marketplace must try again
            late = f"{self._behind()} did not answer within {self._deadline:g} seconds"
            reply = _fault(facts, "failed", late if limit.expired() else f"a bug: {_where(error)}")
        facts["storageRequests"] = requests.requests
        facts["durationMs"] = round((time.monotonic() - started) * 1000, 1)
        _write(facts, reply.status)
        return reply

    async def _serve(self, secret: str | None, body: bytes, received_at: datetime, facts: dict[str, Any]) -> Reply:
        self._warn_once()
        if self._settings.problems:
            return _fault(facts, "misconfigured", "; ".join(self._settings.problems))
        if not secrets.accepts(secret, self._settings.secrets):
            facts |= {
                "outcome": "refused",
                "reason": "the secret is wrong" if secret else "there is no secret",
            }
            return _problem(HTTPStatus.UNAUTHORIZED, "The query parameter 'secret' is missing or wrong.")
        if len(body) > BODY_LIMIT:
            await self._reject(Rejection.of(body, received_at), facts)
            return _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is longer than {BODY_LIMIT // 1024} KiB.")
        try:
            notification = Notification.from_body(body, now=received_at)
        except InvalidNotificationError as error:
            rejection = Rejection.of(body, received_at, error.errors)
            await self._reject(rejection, facts)
            return _problem(HTTPStatus.BAD_REQUEST, "The body is not a valid notification.", errors=rejection.errors)
        facts |= _about(notification, received_at)
        recorded = await self._open_recorder().record(notification, received_at)
        facts["outcome"] = recorded.outcome
        return Reply(
            HTTPStatus.OK,
            {
                "outcome": recorded.outcome,
                "applicationId": notification.application_id.text,
                "provisioningState": recorded.application.latest.value.provisioning_state,
            },
        )

    async def _reject(self, rejection: Rejection, facts: dict[str, Any]) -> None:
        facts |= {
            "outcome": rejection.reason,
            "reason": f"kept as {rejection.day}, {rejection.digest}",
            "size": rejection.size,
            "errors": rejection.errors,
        }
        await self._open_store().add_rejection(rejection)

    def _open_store(self) -> Store:
        if self._store is None:
            self._store = self._connect(cast("Storage", self._settings.storage))
        return self._store

    def _open_recorder(self) -> Recorder:
        if self._recorder is None:
            self._recorder = Recorder(self._open_store(), Memory(time.monotonic), asyncio.sleep, random)
        return self._recorder

    def _behind(self) -> str:
        storage = self._settings.storage
        return "storage or the identity service" if storage and storage.table_service_uri else "storage"

    def _warn_once(self) -> None:
        while self._warnings:
            _log.warning(json.dumps({"outcome": "warning", "reason": self._warnings.pop(0)}))


def _about(notification: Notification, received_at: datetime) -> dict[str, Any]:
    lag = received_at - datetime.fromisoformat(notification.event_time[:26] + "+00:00")
    return {
        "applicationId": notification.application_id.text,
        "eventType": notification.event_type,
        "provisioningState": notification.provisioning_state,
        "eventTime": notification.event_time,
        "lagSeconds": round(lag.total_seconds(), 3),
    }


def _problem(status: HTTPStatus, detail: str, **more: object) -> Reply:
    return Reply(
        status,
        {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail, **more},
    )


def _fault(facts: dict[str, Any], outcome: str, reason: str) -> Reply:
    facts |= {"outcome": outcome, "reason": reason}
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The notification could not be recorded. Please send it again.")


def _where(error: Exception) -> str:
    """Name an unexpected error and the way to it, without its text, which may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    way = " > ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at {way}"


def _write(facts: dict[str, Any], status: HTTPStatus) -> None:
    """Write the log line. Extra fields do not get through the Functions worker: the message itself is the JSON."""
    level = logging.INFO if status < HTTPStatus.BAD_REQUEST else logging.WARNING
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        level = logging.ERROR
    line = {"outcome": facts.pop("outcome"), "status": status.value, **facts}
    _log.log(level, json.dumps(line))
