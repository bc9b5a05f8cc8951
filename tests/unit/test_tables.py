"""The client of Table Storage: what it is made of, what its errors say, and what is never imported.

Whether it keeps the promises of a store is for the contract suite on real Azurite to say.
"""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Self
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.data.tables.aio import TableServiceClient
from azure.identity import CredentialUnavailableError
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from tests.events import NOW, notification
from webhook.application import Application, merge
from webhook.entities import Row
from webhook.rejection import Rejection
from webhook.settings import Settings, Storage
from webhook.store import ConflictError, Store, StoreError, Tally, tally
from webhook.tables import Tables, _credential, _reason

ROOT = Path(__file__).parents[2]
KEY = "TWFyazNyLWtleQ=="
SAS = "sv=2019-02-02&sig=Mark3rSignature"
ROW = merge(None, notification())
REJECTION = Rejection.of(b"nonsense", NOW)


@pytest.fixture(autouse=True)
def _no_identity_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "MSI_SECRET", "AZURE_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_TOKEN_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


class Server:
    """A server on the loopback that gives prepared answers, the last of them ever after, and keeps what it was asked.

    Args:
        answers: the status and the headers, one a line, and after an empty line the body; empty to hang up.
        seconds: before each answer.
    """

    def __init__(self, *answers: str, seconds: float = 0) -> None:
        self._answers, self._seconds = list(answers), seconds
        self.requests: list[str] = []

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(head)
        await asyncio.sleep(self._seconds)
        if answer := self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]:
            lines, _, sent = answer.partition("\n\n")
            more = f"\r\nContent-Length: {len(sent.encode())}\r\nConnection: close\r\n\r\n"
            writer.write(f"HTTP/1.1 {lines}{more}{sent}".replace("\n", "\r\n").replace("\r\r", "\r").encode())
        with suppress(ConnectionError):  # nobody may wait for it any more
            await writer.drain()
            writer.close()
            await writer.wait_closed()


def client(endpoint: str, read_timeout: float = 60) -> Tables:
    """Give the store on a server, with no retries so that a test need not wait for them."""
    credential = AzureNamedKeyCredential("devstoreaccount1", KEY)
    service = TableServiceClient(
        f"{endpoint}/devstoreaccount1", credential=credential, retry_total=0, read_timeout=read_timeout
    )
    return Tables(service, "STATE_STORAGE")


def ask(answer: str, operation: Callable[[Tables], Awaitable[object]]) -> object:
    """Give what becomes of an operation that gets this answer."""

    async def run() -> object:
        async with Server(answer) as endpoint, client(endpoint) as tables:
            return await operation(tables)

    return asyncio.run(run())


def read(tables: Store) -> Awaitable[object]:
    """Read a row."""
    return tables.read_application(ROW.application_id)


def insert(tables: Store) -> Awaitable[object]:
    """Insert a row."""
    return tables.insert_application(ROW)


def replace(tables: Store) -> Awaitable[object]:
    """Replace a row."""
    return tables.replace_application(ROW, 'W/"1"')


def add(tables: Store) -> Awaitable[object]:
    """Add a notification."""
    return tables.add_notification(notification(), NOW)


def reject(tables: Store) -> Awaitable[object]:
    """Add a rejection."""
    return tables.add_rejection(REJECTION)


def mark(tables: Tables) -> Awaitable[object]:
    """Mark a rejection as recorded."""
    return tables.mark_recorded(REJECTION, 'W/"1"', NOW)


# --- what its errors say


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ServiceRequestError(KEY), "storage could not be reached: ServiceRequestError"),
        (ServiceRequestError(KEY, error=OSError(KEY)), "storage could not be reached: OSError"),
        (
            ServiceRequestTimeoutError(KEY, error=TimeoutError(KEY)),
            "storage could not be reached: TimeoutError",
        ),
        (ServiceResponseError(KEY), "storage did not answer: ServiceResponseError"),
        (ServiceResponseTimeoutError(KEY, error=TimeoutError(KEY)), "storage did not answer: TimeoutError"),
        (DecodeError(KEY), "storage sent an answer that cannot be read: DecodeError"),
        (
            UnicodeDecodeError("utf-8", KEY.encode(), 0, 1, KEY),
            "storage sent an answer that cannot be read: UnicodeDecodeError",
        ),
        (ClientAuthenticationError(KEY), "the identity got no token: ClientAuthenticationError"),
        (CredentialUnavailableError(KEY), "the identity got no token: CredentialUnavailableError"),
        (HttpResponseError(KEY), "HttpResponseError"),
        (AzureError(KEY), "AzureError"),
        (AzureError(KEY, error=ValueError(KEY)), "ValueError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_a_reason_is_made_of_what_the_sdk_knows_and_never_of_its_text(error: Exception, said: str) -> None:
    """The SDK's texts hold addresses, signatures and keys, and reasons go to the log."""
    assert _reason(error)[1] == said


REFUSALS = {
    "busy": ("503 Busy\nx-ms-error-code: ServerBusy", "storage answered 503 ServerBusy"),
    "no reason given": ("500 Mark3r", "storage answered 500"),
    "wrong key": ("403 No\nx-ms-error-code: AuthenticationFailed", "storage answered 403 AuthenticationFailed"),
    "bad request": ("400 No\nx-ms-error-code: PropertyValueTooLarge", "storage answered 400 PropertyValueTooLarge"),
    "throttled": ("429 Slow down", "storage answered 429"),
}


@pytest.mark.parametrize(("answer", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize(
    ("operation", "doing"),
    [
        (read, "reading a row in ManagedApplications"),
        (insert, "inserting a row in ManagedApplications"),
        (replace, "replacing a row in ManagedApplications"),
        (add, "inserting a row in ManagedApplicationNotifications"),
        (reject, "inserting a row in ManagedApplicationRejections"),
        (mark, "updating a row in ManagedApplicationRejections"),
    ],
    ids=["read", "insert", "replace", "inbox", "rejection", "mark"],
)
def test_a_refusal_says_what_failed_where_and_how(
    operation: Callable[[Tables], Awaitable[object]], doing: str, answer: str, reason: str
) -> None:
    """An operator can act on it: which table, which status, which connection in the settings."""
    with pytest.raises(StoreError) as caught:
        ask(answer, operation)

    assert str(caught.value) == f"{doing} failed: {reason} (connection STATE_STORAGE)"


def test_a_server_that_hangs_up_did_not_answer() -> None:
    """What was asked may have been done or not."""
    with pytest.raises(StoreError, match=r" failed: storage (did not answer|could not be reached): \w+ \(connection"):
        ask("", read)


def test_a_server_that_is_not_there_could_not_be_reached() -> None:
    """Azurite is not running, or the network is down."""

    async def run() -> None:
        async with Server("") as endpoint:
            pass
        async with client(endpoint) as tables:
            await read(tables)

    with pytest.raises(
        StoreError, match=r"^reading a row in ManagedApplications failed: storage could not be reached: "
    ):
        asyncio.run(run())


def test_an_answer_that_is_not_of_storage_is_a_failure_and_not_repeated() -> None:
    """A proxy answered in the place of storage; what it says is not for the log."""
    with pytest.raises(StoreError, match=r"^reading a row in ManagedApplications failed: ") as caught:
        ask("200 OK\nContent-Type: application/json\n\n<html>Mark3r", read)

    assert "Mark3r" not in str(caught.value)


def test_an_answer_of_another_media_type_is_a_failure_too() -> None:
    """The store promises StoreError for whatever storage does; anything else is logged as a bug of ours."""
    with pytest.raises(StoreError):
        ask("200 OK\nContent-Type: text/html\n\n<html>Mark3r", read)


def test_a_replacement_that_is_answered_409_is_settled_too() -> None:
    """The store promises ConflictError or StoreError; anything else is logged as a bug of ours."""
    with pytest.raises((ConflictError, StoreError)):
        ask("409 Conflict\nx-ms-error-code: EntityAlreadyExists", replace)


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        (insert, "409 Conflict\nx-ms-error-code: EntityAlreadyExists"),
        (insert, '409 Conflict\nContent-Type: application/json\n\n{"odata.error":{"code":"EntityAlreadyExists"}}'),
        (replace, "412 Changed\nx-ms-error-code: UpdateConditionNotSatisfied"),
        (replace, "404 Gone\nx-ms-error-code: ResourceNotFound"),
        (mark, "412 Changed\nx-ms-error-code: UpdateConditionNotSatisfied"),
        (mark, "404 Gone\nx-ms-error-code: ResourceNotFound"),
    ],
    ids=["exists", "exists, by the body", "changed", "gone", "mark of what was changed", "mark of what is gone"],
)
def test_a_condition_that_does_not_hold_is_a_conflict(
    operation: Callable[[Tables], Awaitable[object]], answer: str
) -> None:
    """Whoever wrote first wins, and the loser decides again."""
    with pytest.raises(ConflictError):
        ask(answer, operation)


@pytest.mark.parametrize("operation", [add, reject], ids=["inbox", "rejection"])
def test_what_is_there_already_is_no_error(operation: Callable[[Tables], Awaitable[object]]) -> None:
    """Deliveries repeat."""
    assert ask("409 Conflict\nx-ms-error-code: EntityAlreadyExists", operation) is False


ODATA = (
    "Content-Type: application/json;odata=minimalmetadata\n\n"
    '{"odata.error":{"code":"TableBeingDeleted","message":{"lang":"en-US","value":"The table is being deleted."}}}'
)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(f"409 Conflict\nx-ms-error-code: TableBeingDeleted\n{ODATA}", id="header and body"),
        pytest.param(f"409 Conflict\n{ODATA}", id="body"),
        pytest.param("409 Conflict\nx-ms-error-code: TableBeingDeleted", id="header"),
        pytest.param(
            "409 Conflict\nContent-Type: application/xml\n\n"
            "<m:error xmlns:m='x'><m:code>TableBeingDeleted</m:code><m:message>No.</m:message></m:error>",
            id="XML",
        ),
        pytest.param("409 Conflict\nContent-Type: text/html\n\n<p>A proxy says no.</p>", id="HTML"),
        pytest.param("409 Conflict", id="nothing"),
    ],
)
@pytest.mark.parametrize("operation", [insert, add, reject], ids=["insert", "inbox", "rejection"])
def test_a_table_that_is_being_deleted_is_a_failure_and_no_conflict(
    operation: Callable[[Tables], Awaitable[object]], answer: str
) -> None:
    """Its status is 409 as well, but the event is nowhere: to answer 200 would lose it."""
    with pytest.raises(StoreError, match=r"^inserting a row in \w+ failed: storage answered 409"):
        ask(answer, operation)


def test_what_is_new_is_added() -> None:
    """True is what makes a first delivery of an event."""
    assert ask("204 Done\nETag: W/1", add) is True
    assert ask("204 Done\nETag: W/1", reject) is True


@pytest.mark.parametrize("operation", [insert, replace], ids=["insert", "replace"])
def test_a_write_without_a_version_is_a_failure(operation: Callable[[Tables], Awaitable[object]]) -> None:
    """The next write would go without a condition, blindly over what others wrote."""
    with pytest.raises(StoreError, match=r" failed: storage sent an answer that cannot be read: DecodeError \("):
        ask("204 Done", operation)


def test_a_row_that_is_not_there_is_none() -> None:
    """A missing row and a missing table are the same to a reader."""
    assert ask("404 No\nx-ms-error-code: TableNotFound", read) is None
    assert ask("404 No\nx-ms-error-code: TableNotFound", lambda tables: tables.rejection("2026-03-02", "00")) is None


def test_a_table_that_cannot_be_created_is_a_failure() -> None:
    """Everything is answered 404: the account has no table service."""
    with pytest.raises(StoreError, match=r" in ManagedApplications failed: storage answered 404"):
        ask("404 No\nx-ms-error-code: ResourceNotFound", insert)


def test_a_table_that_is_still_being_deleted_cannot_be_created_yet() -> None:
    """For up to a minute after its deletion the name is taken; the Marketplace comes back, and by then it is free."""

    async def run() -> None:
        answers = ["404 No\nx-ms-error-code: TableNotFound", "409 No\nx-ms-error-code: TableBeingDeleted"]
        async with Server(*answers) as endpoint, client(endpoint) as tables:
            await insert(tables)

    with pytest.raises(StoreError, match=r"^creating the table in .* failed: storage answered 409 TableBeingDeleted"):
        asyncio.run(run())


async def every_row(tables: Tables) -> list[Application]:
    """List the rows."""
    return [row async for row in tables.applications()]


def test_a_table_that_is_not_there_has_no_rows() -> None:
    """Before the first event there is nothing to show, and nothing wrong."""
    assert ask("404 No\nx-ms-error-code: TableNotFound", every_row) == []


def test_notifications_are_given_as_they_are() -> None:
    """Readable or not: one that somebody broke must not hide the others from who only copies them."""

    async def every_entry(tables: Tables) -> list[Row]:
        return [row async for row in tables.entries(columns=["RowKey", "body"])]

    answer = """200 OK
Content-Type: application/json

{"value": [{"odata.etag": "W/1", "RowKey": "soon", "body": "{}"}, {"RowKey": "late"}]}"""

    assert ask(answer, every_entry) == [
        Row({"RowKey": "soon", "body": "{}"}, "W/1", None),
        Row({"RowKey": "late"}, "", None),
    ]


def test_a_list_that_fails_says_so() -> None:
    """Half a list must not pass for the whole."""
    with pytest.raises(StoreError, match=r"^listing the rows in ManagedApplications failed: storage answered 403"):
        ask("403 No\nx-ms-error-code: AuthorizationFailure", every_row)


def test_a_list_is_waited_for_longer_than_a_row() -> None:
    """The service may search for 5 seconds before it sends a page, and no call of the Marketplace waits for a list."""

    async def run() -> None:
        page = '200 OK\nContent-Type: application/json\n\n{"value": []}'
        async with Server(page, seconds=0.6) as endpoint, client(endpoint, read_timeout=0.2) as tables:
            assert await every_row(tables) == []
            with pytest.raises(StoreError, match=r"storage did not answer|could not be reached"):
                await read(tables)
            await asyncio.sleep(0.6)  # the server answers, to nobody

    asyncio.run(run())


def test_a_row_that_others_wrote_is_named() -> None:
    """The message leads to the row, and the app goes on for all others."""
    row = json.dumps({"odata.etag": 'W/"1"', "PartitionKey": "p", "RowKey": "r", "order": "x"})

    with pytest.raises(StoreError, match=r"^the row 'p', 'r' of ManagedApplications is not one that this app wrote"):
        ask(f"200 OK\nETag: W/x\nContent-Type: application/json;odata=minimalmetadata\n\n{row}", read)


BROKEN_ROW = {"odata.etag": 'W/"1"', "PartitionKey": "p", "RowKey": "r"}


def test_a_row_that_others_wrote_does_not_end_a_list_of_rows_as_they_are() -> None:
    """Whoever looks for what is broken has to see the rest too."""
    page = json.dumps({"value": [BROKEN_ROW, {**BROKEN_ROW, "order": "x"}]})

    async def rows(tables: Tables) -> list[dict[str, object]]:
        return [dict(row.entity) async for row in tables.rows()]

    assert ask(f"200 OK\nContent-Type: application/json;odata=minimalmetadata\n\n{page}", rows) == [
        {"PartitionKey": "p", "RowKey": "r"},
        {"PartitionKey": "p", "RowKey": "r", "order": "x"},
    ]


def test_a_table_that_cannot_be_read_is_a_failure_of_the_look() -> None:
    """Not there is one thing, not allowed another."""
    with pytest.raises(StoreError, match=r"^reading a row in X failed: storage answered 403 AuthorizationFailure"):
        ask("403 No\nx-ms-error-code: AuthorizationFailure", lambda tables: tables.look("X"))


def test_a_service_that_does_not_say_what_time_it_is_is_no_failure() -> None:
    """A proxy may leave the header out."""
    answer = '200 OK\nContent-Type: application/json\n\n{"value": []}'

    assert ask(answer, lambda tables: tables.look("X")) == (True, None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("403 No\nx-ms-error-code: AuthorizationPermissionMismatch", "storage answered 403"),
        ("", "storage could not be reached"),
        ("202 OK\nContent-Type: text/plain\n\nhello", "storage sent an answer that cannot be read"),
    ],
)
def test_a_try_to_write_that_fails_in_another_way_than_it_must_says_how(answer: str, said: str) -> None:
    """Only the refusal that was asked for shows that writing is allowed."""
    with pytest.raises(StoreError, match=rf"^inserting and replacing a row in X failed: {said}"):
        ask(answer, lambda tables: tables.try_writing("X"))


# --- what it is made of


def connection_string(endpoint: str, **more: str) -> str:
    """Give a connection string for a server on the loopback."""
    pairs = {"AccountName": "devstoreaccount1", "AccountKey": KEY, "TableEndpoint": f"{endpoint}/devstoreaccount1"}
    return ";".join(f"{name}={value}" for name, value in (pairs | more).items())


def test_every_request_is_counted_for_its_call_repeated_ones_too() -> None:
    """The log line's count is what shows that storage is failing in passing."""
    server = Server("503 Busy")

    async def run() -> int:
        tally.set(counted := Tally())
        async with server as endpoint, Tables.connect(Storage("S", connection_string(endpoint))) as tables:
            with pytest.raises(StoreError, match=r"storage answered 503 \(connection S\)$"):
                await insert(tables)
        return counted.requests

    assert asyncio.run(run()) == len(server.requests) == 3


def test_writes_name_their_condition_on_the_wire() -> None:
    """A replacement without If-Match would overwrite blindly, and nothing else would show it."""
    server = Server("204 Done\nETag: W/2")

    async def run() -> None:
        async with server as endpoint, Tables.connect(Storage("S", connection_string(endpoint))) as tables:
            assert (await tables.replace_application(ROW, 'W/"1"')).version == "W/2"
            assert (await tables.insert_application(ROW)).version == "W/2"
            await tables.mark_recorded(REJECTION, 'W/"1"', NOW)

    asyncio.run(run())
    replaced, inserted, marked = server.requests
    assert replaced.startswith("PUT /devstoreaccount1/ManagedApplications(PartitionKey=")
    assert 'if-match: w/"1"' in replaced.lower()
    assert inserted.startswith("POST /devstoreaccount1/ManagedApplications")
    assert marked.startswith("PATCH /devstoreaccount1/ManagedApplicationRejections(PartitionKey=")
    assert 'if-match: w/"1"' in marked.lower()


def test_a_shared_access_signature_goes_to_storage_and_into_no_message() -> None:
    """It is a secret in the URL of every request."""
    server = Server("403 No\nx-ms-error-code: AuthenticationFailed")

    async def run() -> str:
        async with server as endpoint:
            text = f"TableEndpoint={endpoint}/devstoreaccount1;SharedAccessSignature={SAS}"
            async with Tables.connect(Storage("S", text)) as tables:
                with pytest.raises(StoreError) as caught:
                    await read(tables)
        return f"{caught.value!r} {caught.value.__cause__!r}"

    said = asyncio.run(run())
    assert "sig=Mark3rSignature" in server.requests[0]
    assert "storage answered 403 AuthenticationFailed" in said
    assert "Mark3r" not in said


@pytest.mark.parametrize(
    "text",
    [
        "Mark3r",
        "AccountName=Mark3r",
        f"AccountName=x;AccountName=Mark3r;AccountKey={KEY}",
        f"AccountName=x;;AccountKey={KEY}",
        "SharedAccessSignature=Mark3r",
    ],
)
def test_a_connection_string_that_only_the_sdk_refuses_is_an_error_without_its_text(text: str) -> None:
    """The SDK's own message may repeat a part of it."""
    with pytest.raises(StoreError) as caught:
        Tables.connect(Storage("STATE_STORAGE", text))

    assert str(caught.value) == "STATE_STORAGE is not a connection string that the Tables SDK takes"
    assert caught.value.__suppress_context__


def stored_at(text: str) -> Storage | None:
    """Give what the settings make of a connection string; None where they have a problem with it."""
    return Settings.from_mapping({"WEBHOOK_SECRET": "x" * 16, "STATE_STORAGE": text}).storage


def connects(storage: Storage) -> bool:
    """Tell whether the client takes a connection."""

    async def run() -> None:
        async with Tables.connect(storage):
            pass

    try:
        asyncio.run(run())
    except StoreError:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        "UseDevelopmentStorage=true",
        "usedevelopmentstorage=TRUE",
        f"AccountName=example;AccountKey={KEY}",
        f"AccountName=example;AccountKey={KEY};",
        f"accountname=example;accountkey={KEY}",
        f"AccountName=example;SharedAccessSignature={SAS}",
        f"TableEndpoint=https://example.table.core.windows.net;SharedAccessSignature={SAS}",
        f"TableEndpoint=https://example.table.core.windows.net/;SharedAccessSignature=?{SAS}",
    ],
)
def test_what_the_settings_take_the_client_takes(text: str) -> None:
    """Otherwise the app looks well configured and every call fails."""
    storage = stored_at(text)

    assert storage is not None
    assert connects(storage)


@pytest.mark.parametrize(
    "text",
    [
        "UseDevelopmentStorage=true;",
        "UseDevelopmentStorage = true",
        f"AccountName=example;;AccountKey={KEY}",
        f"AccountName=example; AccountKey={KEY}",
        f"AccountName=x;AccountName=x;AccountKey={KEY}",
    ],
)
def test_forms_that_people_paste_are_taken_or_refused_by_both(text: str) -> None:
    """A trailing semicolon or a space is common, and Azure's other SDKs do not mind them."""
    storage = stored_at(text)

    assert storage is None or connects(storage)


def test_the_log_of_requests_is_turned_down() -> None:
    """At INFO it would write every URL, signatures included, into Application Insights."""
    logger = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
    logger.setLevel(logging.NOTSET)

    asyncio.run(Tables.connect(Storage("S", f"AccountName=example;AccountKey={KEY}")).close())

    assert logger.level == logging.WARNING


# --- identities


URI = "https://example.table.core.windows.net"
IDENTITIES = {
    "system-assigned": (Storage("S", None, URI, managed_identity=True), ManagedIdentityCredential, None),
    "user-assigned": (
        Storage("S", None, URI, managed_identity=True, client_id="id-1234"),
        ManagedIdentityCredential,
        "id-1234",
    ),
    "whatever is there": (Storage("S", None, URI), DefaultAzureCredential, None),
    "whatever is there, with a client ID": (
        Storage("S", None, URI, client_id="id-1234"),
        DefaultAzureCredential,
        "id-1234",
    ),
}


@pytest.mark.parametrize(("storage", "kind", "client_id"), IDENTITIES.values(), ids=IDENTITIES.keys())
def test_an_identity_asks_app_service_for_the_token_that_was_configured(
    monkeypatch: pytest.MonkeyPatch, storage: Storage, kind: type, client_id: str | None
) -> None:
    """A token for another identity is refused by storage, and only in Azure, where it is hard to find out."""
    token = json.dumps({"access_token": "token", "expires_on": "9999999999", "resource": "r", "token_type": "Bearer"})
    server = Server(f"200 OK\nContent-Type: application/json\n\n{token}")

    async def run() -> str:
        async with server as endpoint:
            monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint}/msi/token")
            monkeypatch.setenv("IDENTITY_HEADER", "header")
            credential = _credential(storage)
            assert type(credential) is kind
            async with credential:
                return (await credential.get_token("https://storage.azure.com/.default")).token

    assert asyncio.run(run()) == "token"
    [request] = server.requests
    query = parse_qs(urlsplit(request.split(" ")[1]).query)
    assert query["resource"] == ["https://storage.azure.com"]
    assert query.get("client_id", [None]) == [client_id]


@pytest.mark.parametrize(("storage", "kind", "client_id"), IDENTITIES.values(), ids=IDENTITIES.keys())
def test_a_store_by_identity_is_made_and_closed_without_a_request(
    monkeypatch: pytest.MonkeyPatch, storage: Storage, kind: type, client_id: str | None
) -> None:
    """A start must not wait for a token, and tokens go to no account but the one configured."""
    del client_id
    monkeypatch.setenv("NO_PROXY", "*")

    async def run() -> None:
        async with Tables.connect(storage) as tables:
            assert tables._service.url == URI  # noqa: SLF001 - the client has no other face
            assert type(tables._credential) is kind  # noqa: SLF001 - the same

    asyncio.run(run())


class NoToken:
    """A credential of an app to which no identity is assigned."""

    async def get_token(self, *scopes: str, **options: object) -> NoReturn:
        """Fail as azure-identity fails."""
        del scopes, options
        raise CredentialUnavailableError(KEY)

    async def close(self) -> None:
        """Do nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


def test_an_identity_without_a_token_says_so() -> None:
    """In Azure: no identity is assigned to the app. The message names the connection to look at."""

    async def run() -> None:
        service = TableServiceClient("https://127.0.0.1:9/example", credential=NoToken(), retry_total=0)
        async with Tables(service, "STATE_STORAGE") as tables:
            await read(tables)

    with pytest.raises(StoreError) as caught:
        asyncio.run(run())

    assert str(caught.value) == (
        "reading a row in ManagedApplications failed: the identity got no token: CredentialUnavailableError "
        "(connection STATE_STORAGE)"
    )


# --- what stays out of sys.modules

IMPORTED = "import sys; sys.exit(sorted(name for name in sys.modules if name.startswith('{}')) != [])"


@pytest.mark.parametrize(
    ("code", "identity"),
    [
        ("import function_app", False),
        ("import webhook.tables", False),
        (
            (
                "import asyncio; from webhook.tables import Tables; from webhook.settings import Storage\n"
                f"asyncio.run(Tables.connect(Storage('S', 'AccountName=example;AccountKey={KEY}')).close())"
            ),
            False,
        ),
        (
            (
                "import asyncio; from webhook.tables import Tables; from webhook.settings import Storage\n"
                f"asyncio.run(Tables.connect(Storage('S', None, '{URI}', managed_identity=True)).close())"
            ),
            True,
        ),
    ],
    ids=["function_app", "tables", "connection string", "identity"],
)
def test_the_identity_library_is_imported_only_where_an_identity_is_used(code: str, *, identity: bool) -> None:
    """It takes as long to import as everything else together, and most cold starts need none of it."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{IMPORTED.format('azure.identity')}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert bool(done.returncode) == identity


def test_the_store_protocol_is_kept() -> None:
    """What receive asks for is what tables has; mypy holds the types of this line."""
    store: type[Store] = Tables

    assert {name for name in vars(Store) if not name.startswith("_")} <= set(dir(store))


def test_a_row_that_is_written_has_all_that_was_merged() -> None:
    """The row of this module's tests is a real one."""
    assert isinstance(ROW, Application)
