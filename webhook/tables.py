"""The three tables in Azure Table Storage: the only module that imports azure.data.tables.

It turns the SDK's errors into those of `store`. It decides nothing: which row is right, and what to do after a
conflict, is for others to say; and no write of it goes without a condition.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from webhook.application import Application
from webhook.entities import (
    Entity,
    InboxEntry,
    application_entity,
    application_of,
    inbox_entity,
    inbox_entry,
    rejection_entity,
)
from webhook.notification import ApplicationId, Notification
from webhook.rejection import Rejection
from webhook.settings import Storage
from webhook.store import ConflictError, StoreError, Versioned, count_request

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

APPLICATIONS = "ManagedApplications"
INBOX = "ManagedApplicationNotifications"
REJECTIONS = "ManagedApplicationRejections"

# One request may take 2 s to connect and 3 s without a byte; one that failed in passing is repeated twice, at once and
# after 0.4 s. POST is repeated too, which the SDK by default does not: an insert that had been done after all shows as
# a conflict, and a conflict is settled by reading. The deadline of the whole call is the caller's.
_OPTIONS: Mapping[str, Any] = {
    "connection_timeout": 2.0,
    "read_timeout": 3.0,
    "retry_total": 2,
    "retry_connect": 2,
    "retry_read": 2,
    "retry_status": 2,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 1,
}
_REPEATABLE = frozenset({"GET", "POST", "PUT"})

_T = TypeVar("_T")


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
        return Versioned(application, self._etag(result, self._applications))

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
        return Versioned(application_of(entity), self._etag(entity.metadata, self._applications))

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

    async def _insert(self, table: TableClient, entity: Entity) -> str:
        """Insert where there is none, creating the table where it is missing; the ETag, or ConflictError."""

        async def insert() -> str:
            result = await self._send(
                "inserting a row",
                table,
                lambda: table.create_entity(
                    entity, response_preference="return-no-content", retry_on_methods=_REPEATABLE
                ),
            )
            return self._etag(result, table)

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
        except (AzureError, UnicodeDecodeError) as error:
            raise self._store_error(doing, table, error) from None

    def _etag(self, result: Mapping[str, Any], table: TableClient) -> str:
        if etag := result["etag"]:
            return cast("str", etag)
        raise self._store_error("writing a row", table, DecodeError("no ETag"))

    def _store_error(self, doing: str, table: TableClient, error: Exception) -> StoreError:
        return StoreError(f"{doing} in {table.table_name} failed: {_reason(error)} (connection {self._connection})")


def _credential(storage: Storage) -> "AsyncTokenCredential":
    # imported only where an identity is used: it takes as long to import as everything else together
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if storage.managed_identity:
        return ManagedIdentityCredential(client_id=storage.client_id)
    if storage.client_id:
        return DefaultAzureCredential(managed_identity_client_id=storage.client_id)
    return DefaultAzureCredential()


def _reason(error: Exception) -> str:
    """Say what went wrong, from what the SDK knows of it and never from its text, which may hold addresses and keys."""
    cause = type(getattr(error, "inner_exception", None) or error).__name__
    if isinstance(error, ServiceRequestError):
        return f"storage could not be reached: {cause}"
    if isinstance(error, ServiceResponseError):
        return f"storage did not answer: {cause}"
    if isinstance(error, (DecodeError, UnicodeDecodeError)):
        return f"storage sent an answer that cannot be read: {cause}"
    if isinstance(error, ClientAuthenticationError) and not error.response:
        return f"the identity got no token: {cause}"
    if isinstance(error, HttpResponseError) and error.response:
        code = getattr(error, "error_code", None) or getattr(error.response, "headers", {}).get("x-ms-error-code")
        return f"storage answered {error.status_code}" + (f" {getattr(code, 'value', code)}" if code else "")
    return cause
