"""The three tables in Azure Table Storage: the only module that imports azure.data.tables.

It turns the app's values into entities and back, and the SDK's errors into those of `store`. It decides nothing: which
row is right, and what to do after a conflict, is for others to say; and no write of it goes without a condition.
"""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, cast

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables import EdmType, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from webhook.application import Application, Register, State
from webhook.notification import (
    PROPERTY_LIMIT,
    ApplicationId,
    EventType,
    Notification,
    Plan,
    ProvisioningState,
    is_order_key,
)
from webhook.rejection import Rejection
from webhook.settings import Storage
from webhook.store import ConflictError, StoreError, Versioned, count_request

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

APPLICATIONS = "ManagedApplications"
INBOX = "ManagedApplicationNotifications"
REJECTIONS = "ManagedApplicationRejections"

# One request may take 2 s to connect and 3 s without a byte; one that failed in passing is repeated twice, after 0.1 s
# and 0.2 s. POST is repeated too, which the SDK leaves out by default: an insert that had been done after all shows as a
# conflict, and a conflict is settled by reading. The deadline of the whole call is the caller's.
_OPTIONS: Mapping[str, Any] = {
    "connection_timeout": 2.0,
    "read_timeout": 3.0,
    "retry_total": 2,
    "retry_connect": 2,
    "retry_read": 2,
    "retry_status": 2,
    "retry_backoff_factor": 0.05,
    "retry_backoff_max": 1,
}
_REPEATABLE = frozenset({"GET", "POST", "PUT"})

_Entity = dict[str, Any]
_T = TypeVar("_T")


class InboxEntry(NamedTuple):
    """A notification as the inbox keeps it."""

    partition_key: str
    order: str
    received_at: datetime
    event_type: EventType
    provisioning_state: ProvisioningState
    body: str


class Tables:
    """The store, on Azure Table Storage. Make it in the running event loop, and close it there.

    Args:
        service: the client of the account's table service.
        connection: the name of the connection in the settings, for messages.
    """

    def __init__(self, service: TableServiceClient, connection: str) -> None:
        self._service, self._connection = service, connection
        self._applications = service.get_table_client(APPLICATIONS)
        self._inbox = service.get_table_client(INBOX)
        self._rejections = service.get_table_client(REJECTIONS)
        self._credential: AsyncTokenCredential | None = None

    @classmethod
    def connect(cls, storage: Storage) -> Self:
        """Make the client; nothing is sent before the first operation.

        Raises:
            StoreError: the connection string cannot be used.
        """
        # at INFO it logs every URL and header
        logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
        options = {**_OPTIONS, "raw_request_hook": lambda _: count_request()}
        if storage.connection_string is None:
            credential = _credential(storage)
            tables = cls(
                TableServiceClient(cast("str", storage.table_service_uri), credential=credential, **options),
                storage.connection,
            )
            tables._credential = credential
            return tables
        try:
            service = TableServiceClient.from_connection_string(storage.connection_string, **options)
        except ValueError:
            msg = f"{storage.connection} is not a connection string that the Tables SDK accepts"
            raise StoreError(msg) from None
        return cls(service, storage.connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()
        if self._credential is not None:
            await self._credential.close()

    async def add_notification(self, notification: Notification, received_at: datetime) -> bool:
        """Add to the inbox; False, and nothing is changed, where it is there already."""
        try:
            await self._insert(self._inbox, inbox_entity(notification, received_at))
        except ConflictError:
            return False
        return True

    async def add_rejection(self, rejection: Rejection) -> bool:
        """Keep a refused body; False where the same one was kept today."""
        try:
            await self._insert(self._rejections, rejection_entity(rejection))
        except ConflictError:
            return False
        return True

    async def insert_application(self, application: Application) -> Versioned:
        """Write a row where there is none; ConflictError where there is one."""
        return Versioned(application, await self._insert(self._applications, application_entity(application)))

    async def replace_application(self, application: Application, version: str) -> Versioned:
        """Replace the row if it still has that version; ConflictError where it was changed or is gone."""
        try:
            result = await self._send(
                "replacing a row",
                self._applications,
                lambda: self._applications.update_entity(
                    application_entity(application),
                    mode=UpdateMode.REPLACE,
                    etag=version,
                    match_condition=MatchConditions.IfNotModified,
                    retry_on_methods=_REPEATABLE,
                ),
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            raise ConflictError from None
        return Versioned(application, result["etag"])

    async def read_application(self, application_id: ApplicationId) -> Versioned | None:
        """Read an application's row; None where there is none."""
        try:
            entity = await self._send(
                "reading a row",
                self._applications,
                lambda: self._applications.get_entity(application_id.partition_key, application_id.row_key),
            )
        except ResourceNotFoundError:
            return None
        return Versioned(application_of(entity), entity.metadata["etag"])

    async def applications(self) -> AsyncIterator[Application]:
        """Give every application's row, by subscription, resource group and name."""
        async for entity in self._list(self._applications):
            yield application_of(entity)

    async def inbox(self) -> AsyncIterator[InboxEntry]:
        """Give every notification that was ever received, application by application, in the order of the order key."""
        async for entity in self._list(self._inbox):
            yield inbox_entry(entity)

    async def _list(self, table: TableClient) -> AsyncIterator[Mapping[str, Any]]:
        try:
            async for entity in table.list_entities():
                yield entity
        except ResourceNotFoundError:
            return
        except AzureError as error:
            raise self._store_error("listing rows", table, error) from None

    async def _insert(self, table: TableClient, entity: _Entity) -> str:
        """Insert where there is none, creating the table where it is missing; the ETag, or ConflictError."""

        async def insert() -> str:
            result = await self._send(
                "inserting a row",
                table,
                lambda: table.create_entity(
                    entity, response_preference="return-no-content", retry_on_methods=_REPEATABLE
                ),
            )
            return cast("str", result["etag"])

        try:
            try:
                return await insert()
            except ResourceNotFoundError:
                await self._create(table)
                return await insert()
        except ResourceExistsError as error:
            if "TableBeingDeleted" in str(error):  # a conflict by its status, but nothing is there that holds the row
                raise self._store_error("inserting a row", table, error) from None
            raise ConflictError from None
        except ResourceNotFoundError as error:
            raise self._store_error("inserting a row", table, error) from None

    async def _create(self, table: TableClient) -> None:
        try:
            await self._send("creating the table", table, table.create_table)
        except ResourceExistsError as error:
            if "TableBeingDeleted" in str(error):
                raise self._store_error("creating the table", table, error) from None

    async def _send(self, doing: str, table: TableClient, operation: Callable[[], Awaitable[_T]]) -> _T:
        """Run an operation; only what its caller settles leaves it as the SDK's own error, all else as StoreError."""
        try:
            return await operation()
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
            raise
        except AzureError as error:
            raise self._store_error(doing, table, error) from None

    def _store_error(self, doing: str, table: TableClient, error: AzureError) -> StoreError:
        return StoreError(f"{doing} in {table.table_name} failed: {_reason(error)} (connection {self._connection})")


def _credential(storage: Storage) -> "AsyncTokenCredential":
    # imported only where an identity is used: it takes as long to import as everything else together
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if storage.managed_identity:
        return ManagedIdentityCredential(client_id=storage.client_id)
    if storage.client_id:
        return DefaultAzureCredential(managed_identity_client_id=storage.client_id)
    return DefaultAzureCredential()


def _reason(error: AzureError) -> str:
    """Say what went wrong, from what the SDK knows of it and never from its text, which may hold addresses and keys."""
    if isinstance(error, HttpResponseError) and error.status_code:
        code = getattr(error, "error_code", None) or (error.response and error.response.headers.get("x-ms-error-code"))
        code = getattr(code, "value", code)
        return f"storage answered {error.status_code}" + (f" {code}" if code else "")
    cause = type(error.inner_exception or error).__name__
    if isinstance(error, ServiceRequestError):
        return f"storage could not be reached: {cause}"
    if isinstance(error, ServiceResponseError):
        return f"storage did not answer: {cause}"
    return type(error).__name__


def application_entity(application: Application) -> _Entity:
    """Give the entity of a row; see DESIGN for its columns. What is not known has no column."""
    state, identity, plan = application.latest.value, application.application_id, application.plan
    usage, definition = application.resource_usage_id, application.application_definition_id
    entity = {
        "PartitionKey": identity.partition_key,
        "RowKey": identity.row_key,
        "applicationId": identity.text,
        "subscriptionId": identity.subscription_id,
        "resourceGroup": identity.resource_group,
        "applicationName": identity.name,
        "provisioningState": state.provisioning_state,
        "eventType": state.event_type,
        "eventTime": (application.event_time, EdmType.DATETIME),
        "order": application.order,
        "errorCode": state.error_code,
        "errorMessage": state.error_message,
        "error": state.error,
        "firstEventTime": (application.first_event_time, EdmType.DATETIME),
        "firstOrder": application.first_order,
        "planPublisher": plan and plan.value.publisher,
        "planProduct": plan and plan.value.product,
        "planName": plan and plan.value.name,
        "planVersion": plan and plan.value.version,
        "planOrder": plan and plan.order,
        "resourceUsageId": usage and usage.value,
        "resourceUsageIdOrder": usage and usage.order,
        "applicationDefinitionId": definition and definition.value,
        "applicationDefinitionIdOrder": definition and definition.order,
    }
    return {name: value for name, value in entity.items() if value is not None}


def application_of(entity: Mapping[str, Any]) -> Application:
    """Read a row back. Times come from the order keys, as the SDK cuts datetimes to microseconds.

    Raises:
        StoreError: it is not a row that this app wrote.
    """
    get = entity.get
    try:
        state = State(
            ApplicationId.parse(entity["applicationId"]),
            entity["eventType"],
            entity["provisioningState"],
            get("errorCode"),
            get("errorMessage"),
            get("error"),
        )
        plan = Plan(
            publisher=get("planPublisher"),
            product=get("planProduct"),
            name=get("planName"),
            version=get("planVersion"),
        )
        return Application(
            Register(_order(entity, "order"), state),
            _order(entity, "firstOrder"),
            Register(_order(entity, "planOrder"), plan) if "planOrder" in entity else None,
            _text_register(entity, "resourceUsageId"),
            _text_register(entity, "applicationDefinitionId"),
        )
    except (KeyError, ValueError):
        msg = (
            f"the row {entity.get('PartitionKey')!r}, {entity.get('RowKey')!r} of {APPLICATIONS} is not one that this "
            "app wrote: delete or mend it"
        )
        raise StoreError(msg) from None


def _text_register(entity: Mapping[str, Any], column: str) -> Register[str] | None:
    return Register(_order(entity, f"{column}Order"), entity[column]) if column in entity else None


def _order(entity: Mapping[str, Any], column: str) -> str:
    order = entity[column]
    if not is_order_key(order):
        raise ValueError
    return cast("str", order)


def inbox_entity(notification: Notification, received_at: datetime) -> _Entity:
    """Give the entity of a notification in the inbox."""
    return {
        "PartitionKey": notification.application_id.inbox_partition_key,
        "RowKey": notification.order,
        "receivedAt": received_at,
        "eventType": notification.event_type,
        "provisioningState": notification.provisioning_state,
        **dict(_body_columns(notification.body)),
    }


def inbox_entry(entity: Mapping[str, Any]) -> InboxEntry:
    """Read a notification in the inbox back."""
    columns = sorted((name for name in entity if name.startswith("body")), key=lambda name: int(name[4:] or 0))
    return InboxEntry(
        entity["PartitionKey"],
        entity["RowKey"],
        entity["receivedAt"],
        entity["eventType"],
        entity["provisioningState"],
        "".join(entity[name] for name in columns),
    )


def rejection_entity(rejection: Rejection) -> _Entity:
    """Give the entity of a refused body."""
    return {
        "PartitionKey": rejection.day,
        "RowKey": rejection.digest,
        "receivedAt": rejection.received_at,
        "reason": rejection.reason,
        "errors": json.dumps(rejection.errors, ensure_ascii=False),
        "size": rejection.size,
        "truncated": rejection.truncated,
        **dict(_body_columns(rejection.body)),
    }


def _body_columns(body: str | bytes) -> Iterator[tuple[str, str | bytes]]:
    """Divide a body among the columns body, body1, body2, ... of 64 KiB each, the most that a property holds."""
    pieces = _divide(body.encode("utf-16-le"), pairs=True) if isinstance(body, str) else _divide(body, pairs=False)
    for number, piece in enumerate(pieces):
        yield f"body{number or ''}", piece.decode("utf-16-le") if isinstance(body, str) else piece


def _divide(data: bytes, *, pairs: bool) -> Iterator[bytes]:
    start, size = 0, 2 * PROPERTY_LIMIT
    while True:
        end = start + size
        if pairs and end < len(data) and 0xD8 <= data[end - 1] < 0xDC:  # never between the halves of a surrogate pair
            end -= 2
        yield data[start:end]
        if end >= len(data):
            return
        start = end
