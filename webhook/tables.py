"""The three tables in Azure Table Storage: the only module that imports azure.data.tables.

It turns the SDK's errors into those of `store`. It decides nothing: which row is right, and what to do after a
conflict, is for others to say; and no write of it goes without a condition.
"""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, cast

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
from azure.data.tables import TableTransactionError, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from webhook.application import Application
from webhook.entities import (
    REJECTION_FACTS,
    Entity,
    InboxEntry,
    Row,
    application_entity,
    application_of,
    inbox_entity,
    inbox_entry,
    recorded_mark,
    rejection_entity,
)
from webhook.notification import ApplicationId, Notification
from webhook.rejection import Rejection
from webhook.settings import Storage
from webhook.store import EVERYWHERE, ConflictError, StoreError, Versioned, Where, count_request

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.pipeline import PipelineResponse

APPLICATIONS = "ManagedApplications"
INBOX = "ManagedApplicationNotifications"
REJECTIONS = "ManagedApplicationRejections"

# One request may take 2 s to connect and 3 s without a byte. One that failed in passing is repeated twice, at once and
# after 0.4 s (aiohttp repeats GET and PUT once more by itself, uncounted). POST and PATCH are repeated too, which is
# not the SDK's default: a write that had been done after all shows as a conflict, and a conflict is settled by reading.
# The deadline of the whole call is the caller's.
_OPTIONS: Mapping[str, Any] = {
    "connection_timeout": 2.0,
    "read_timeout": 3.0,
    "retry_total": 2,
    "retry_connect": 2,
    "retry_read": 2,
    "retry_status": 2,
    "retry_backoff_factor": 0.2,
    # Else aiohttp looks for proxies and ~/.netrc with every request, on another thread: see docs/decisions.md.
    "use_env_settings": False,
}
# A page of a list that is filtered may take 5 s to be found, and longer to come:
# https://learn.microsoft.com/rest/api/storageservices/query-timeout-and-pagination. No call of the webhook's lists.
_PATIENCE: Mapping[str, Any] = {"read_timeout": 30.0}
_REPEATABLE = frozenset({"GET", "POST", "PUT", "PATCH"})

_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What the SDK lets through, beside errors of its own, when it trips over a garbled answer."""

_FAILURES = (AzureError, *_UNREADABLE)

_T = TypeVar("_T")


class Look(NamedTuple):
    """What a look at a table showed.

    Attributes:
        there: whether the table exists; the first write makes it.
        time: of the service's clock, to the second; None where the answer did not say.
    """

    there: bool
    time: datetime | None


class Tables:
    """The store, on Azure Table Storage. Make it in the running event loop, and close it there.

    Args:
        service: the client of the account's table service.
        connection: the name of the connection in the settings, for messages.
        credential: what gets the service its tokens, where it needs any; it is closed with the store.
    """

    def __init__(
        self, service: TableServiceClient, connection: str, credential: "AsyncTokenCredential | None" = None
    ) -> None:
        self._service, self._connection, self._credential = service, connection, credential
        self._applications = service.get_table_client(APPLICATIONS)
        self._inbox = service.get_table_client(INBOX)
        self._rejections = service.get_table_client(REJECTIONS)

    @classmethod
    def connect(cls, storage: Storage) -> Self:
        """Make the clients; nothing is sent before the first operation.

        Raises:
            StoreError: the SDK does not take the connection string.
        """
        # at INFO it logs every URL and header
        logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
        options = {**_OPTIONS, "raw_request_hook": lambda _: count_request()}
        if storage.table_service_uri is not None:
            credential = _credential(storage)
            service = TableServiceClient(storage.table_service_uri, credential=credential, **options)
            return cls(service, storage.connection, credential)
        try:
            service = TableServiceClient.from_connection_string(storage.connection_string or "", **options)
        except ValueError:
            raise StoreError(f"{storage.connection} is not a connection string that the Tables SDK takes") from None
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
        entity = application_entity(application)
        return Versioned(application, await self._update(self._applications, entity, UpdateMode.REPLACE, version))

    async def read_application(self, application_id: ApplicationId) -> Versioned | None:
        """Read an application's row; None where there is none."""
        row = await self.row(application_id)
        return row and Versioned(application_of(row.entity), row.version)

    async def row(self, application_id: ApplicationId) -> Row | None:
        """Give an application's row as it is, readable or not; None where there is none."""
        return await self._read(self._applications, application_id.partition_key, application_id.row_key)

    def rows(self, where: Where = EVERYWHERE, columns: Sequence[str] = ()) -> AsyncIterator[Row]:
        """Give rows as they are, readable or not, by subscription, resource group and name.

        Args:
            where: which of them, as the service is to decide.
            columns: what is fetched; everything if empty.
        """
        return self._list(self._applications, where, columns)

    async def applications(self) -> AsyncIterator[Application]:
        """Give every application, by subscription, resource group and name."""
        async for row in self.rows():
            yield application_of(row.entity)

    async def inbox(self) -> AsyncIterator[InboxEntry]:
        """Give every notification as it was received, in the order of `entries`."""
        async for row in self.entries():
            yield inbox_entry(row.entity)

    def entries(self, where: Where = EVERYWHERE, columns: Sequence[str] = ()) -> AsyncIterator[Row]:
        """Give notifications as they are, readable or not, application by application, in the order of the order key.

        Args:
            where: which of them, as the service is to decide.
            columns: what is fetched; everything if empty.
        """
        return self._list(self._inbox, where, columns)

    def rejections(self, where: Where = EVERYWHERE, *, bodies: bool = True) -> AsyncIterator[Row]:
        """Give refused bodies as they are, readable or not, by day and digest.

        Args:
            where: which of them, as the service is to decide.
            bodies: whether they are fetched.
        """
        return self._list(self._rejections, where, () if bodies else REJECTION_FACTS)

    async def rejection(self, day: str, digest: str) -> Row | None:
        """Give a refused body as it is, readable or not; None where there is none."""
        return await self._read(self._rejections, day, digest)

    async def mark_recorded(self, rejection: Rejection, version: str, recorded_at: datetime) -> None:
        """Note that a refused body was recorded, if its entry still has that version; else ConflictError."""
        entity = recorded_mark(rejection, recorded_at)
        await self._update(self._rejections, entity, UpdateMode.MERGE, version)

    async def _read(self, table: TableClient, partition_key: str, row_key: str) -> Row | None:
        call = _Call("reading a row", table, self._connection)
        try:
            entity = await call.send(lambda: table.get_entity(partition_key, row_key), ResourceNotFoundError)
        except ResourceNotFoundError:
            return None
        return Row(entity, call.etag(entity.metadata), entity.metadata.get("timestamp"))

    async def look(self, name: str) -> Look:
        """Ask a table for one row, to see whether it is there and can be read."""
        table = self._service.get_table_client(name)
        call, dates = _Call("reading a row", table, self._connection), list[str]()

        def hear(response: "PipelineResponse[Any, Any]") -> None:
            dates.append(response.http_response.headers.get("Date", ""))

        async def ask() -> bool:
            pages = table.query_entities("", results_per_page=1, raw_response_hook=hear).by_page()
            await anext(pages, None)
            return True

        try:
            there = await call.send(ask, ResourceNotFoundError)
        except ResourceNotFoundError:
            there = False
        return Look(there, _http_date(dates[-1]))

    async def try_writing(self, name: str) -> None:
        """See whether rows of a table that is there may be inserted and replaced, and write nothing.

        Two steps are asked for in one transaction: to insert a row, and to replace one that is not there. The second
        must fail, and with it the whole.
        """
        table = self._service.get_table_client(name)
        call = _Call("inserting and replacing a row", table, self._connection)
        condition = {"etag": 'W/"nothing"', "match_condition": MatchConditions.IfNotModified}
        steps: list[Any] = [
            ("create", {"PartitionKey": "probe", "RowKey": "insert"}),
            ("update", {"PartitionKey": "probe", "RowKey": "replace"}, {"mode": UpdateMode.REPLACE, **condition}),
        ]
        try:
            await table.submit_transaction(steps)
        except _FAILURES as error:
            if not (
                isinstance(error, TableTransactionError)
                and (error.index, error.status_code) == (1, HTTPStatus.NOT_FOUND)
            ):
                raise call.failure(error) from None

    async def _list(
        self, table: TableClient, where: Where = EVERYWHERE, columns: Sequence[str] = ()
    ) -> AsyncIterator[Row]:
        try:
            async for entity in table.query_entities(
                where.filter, parameters=dict(where.parameters), select=list(columns) or None, **_PATIENCE
            ):
                yield Row(entity, entity.metadata["etag"] or "", entity.metadata.get("timestamp"))
        except ResourceNotFoundError:
            return
        except _FAILURES as error:
            raise _Call("listing the rows", table, self._connection).failure(error) from None

    async def _update(self, table: TableClient, entity: Entity, mode: UpdateMode, version: str) -> str:
        """Replace, or merge into, what still has that version; the new one, or ConflictError."""
        call = _Call("replacing a row" if mode is UpdateMode.REPLACE else "updating a row", table, self._connection)
        try:
            result = await call.send(
                lambda: table.update_entity(
                    entity,
                    mode=mode,
                    etag=version,
                    match_condition=MatchConditions.IfNotModified,
                    retry_on_methods=_REPEATABLE,
                ),
                ResourceModifiedError,
                ResourceNotFoundError,
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            raise ConflictError from None
        return call.etag(result)

    async def _insert(self, table: TableClient, entity: Entity) -> str:
        """Insert where there is none, creating the table where it is missing; the ETag, or ConflictError."""
        call = _Call("inserting a row", table, self._connection)

        async def insert(*settled: type[AzureError]) -> str:
            try:
                result = await call.send(
                    lambda: table.create_entity(
                        entity, response_preference="return-no-content", retry_on_methods=_REPEATABLE
                    ),
                    ResourceExistsError,
                    *settled,
                )
            except ResourceExistsError as error:
                if _code(error) == "EntityAlreadyExists":
                    raise ConflictError from None
                raise call.failure(error) from None  # a 409 too, but nothing is there: TableBeingDeleted, for one
            return call.etag(result)

        try:
            return await insert(ResourceNotFoundError)
        except ResourceNotFoundError:
            await self._create(table)
            return await insert()

    async def _create(self, table: TableClient) -> None:
        call = _Call("creating the table", table, self._connection)
        # the SDK decodes the code of this error: it is this type only where the table is there
        with suppress(ResourceExistsError):
            await call.send(lambda: table.create_table(retry_on_methods=_REPEATABLE), ResourceExistsError)


class _Call(NamedTuple):
    """One thing that is asked of a table, for saying what failed."""

    doing: str
    table: TableClient
    connection: str

    async def send(self, operation: Callable[[], Awaitable[_T]], *settled: type[AzureError]) -> _T:
        """Run an operation of the SDK, and nothing of our own.

        The errors that its caller settles pass; every other way to fail becomes a StoreError.
        """
        try:
            return await operation()
        except settled:
            raise
        except _FAILURES as error:
            raise self.failure(error) from None

    def etag(self, metadata: Mapping[str, Any]) -> str:
        """Give the ETag of an answer, without which no row can be replaced."""
        if etag := metadata["etag"]:
            return cast("str", etag)
        raise self.failure(DecodeError("no ETag"))

    def failure(self, error: Exception) -> StoreError:
        """Say what failed, where, and how."""
        cause, reason = _reason(error)
        return StoreError(
            f"{self.doing} in {self.table.table_name} failed: {reason} (connection {self.connection})", cause
        )


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


def _credential(storage: Storage) -> "AsyncTokenCredential":
    # imported only where an identity is used: it takes as long to import as everything else together
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if storage.managed_identity:
        return ManagedIdentityCredential(client_id=storage.client_id)
    if storage.client_id:
        return DefaultAzureCredential(managed_identity_client_id=storage.client_id)
    return DefaultAzureCredential()


def _reason(error: Exception) -> tuple[str, str]:
    """Say what went wrong, for programs and for people.

    It is made from what the SDK knows and never from its text, which may hold addresses and keys.
    """
    name = type(getattr(error, "inner_exception", None) or error).__name__
    if isinstance(error, ServiceRequestError):
        return "unreachable", f"storage could not be reached: {name}"
    if isinstance(error, ServiceResponseError):
        return "no answer", f"storage did not answer: {name}"
    if isinstance(error, (DecodeError, *_UNREADABLE)):
        return "unreadable", f"storage sent an answer that cannot be read: {name}"
    if isinstance(error, ClientAuthenticationError) and not error.response:
        return "no token", f"the identity got no token: {name}"
    if isinstance(error, HttpResponseError) and error.response:
        cause = f"{error.status_code} {_code(error) or ''}".rstrip()
        return cause, f"storage answered {cause}"
    return "", name


def _code(error: HttpResponseError) -> str | None:
    """Give the service's name for an error, wherever it is: the SDK does not decode that of an insert."""
    code = getattr(error, "error_code", None) or getattr(error.response, "headers", {}).get("x-ms-error-code")
    if code:
        return str(getattr(code, "value", code))
    found = re.search(r'"code"\s*:\s*"(\w+)"|<(?:\w+:)?code>(\w+)<', str(error), re.IGNORECASE)
    return found[1] or found[2] if found else None
