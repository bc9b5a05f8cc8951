"""What the store does on a real table service: missing tables, long bodies, odd names, faults of each request."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable

import pytest
from aiohttp.web import BaseRequest
from azure.data.tables.aio import TableServiceClient

from tests import events
from tests.relay import Fault, Relay
from tools.azurite import Azurite, connection_string
from webhook.application import Application, merge
from webhook.entities import application_entity, differences, fingerprint, rejection_of
from webhook.notification import Notification
from webhook.rejection import BODY_LIMIT, Rejection
from webhook.settings import Storage
from webhook.store import ConflictError, StoreError, Tally, Where, tally
from webhook.tables import APPLICATIONS, INBOX, REJECTIONS, Tables

FIRST = events.notification("PUT", "Accepted")
SECOND = events.notification("PUT", "Succeeded", eventTime="2026-03-01T10:05:00Z")


def on_tables(storage: Storage, rule: Callable[[Tables, TableServiceClient], Awaitable[None]]) -> None:
    """Run a rule on our store, with a client of the SDK's own beside it to look at what is really there."""

    async def run() -> None:
        async with (
            Tables.connect(storage) as tables,
            TableServiceClient.from_connection_string(storage.connection_string or "") as service,
        ):
            await rule(tables, service)

    asyncio.run(run())


def test_a_write_creates_its_missing_table(storage: Storage) -> None:
    """A new account needs no set-up, and a start does not pay for looking whether the tables are there."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        assert [table.name async for table in service.list_tables()] == []
        await tables.add_notification(FIRST, events.NOW)
        await tables.insert_application(Application.of(FIRST))
        await tables.add_rejection(Rejection.of(b"{}", events.NOW))
        assert {table.name async for table in service.list_tables()} == {APPLICATIONS, INBOX, REJECTIONS}

    on_tables(storage, rule)


def test_the_proxies_of_the_environment_are_not_used(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """To look for them, the SDK would read files and variables with every request, on another thread."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens

    async def run() -> None:
        async with Tables.connect(storage) as tables:
            assert await tables.add_notification(FIRST, events.NOW)

    asyncio.run(run())


def test_a_table_that_disappears_is_created_again(storage: Storage) -> None:
    """Somebody who deletes a table by mistake loses what was in it, and not what comes after."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        await tables.insert_application(Application.of(FIRST))
        await service.delete_table(APPLICATIONS)
        assert await tables.read_application(FIRST.application_id) is None
        await tables.insert_application(Application.of(FIRST))
        assert await tables.read_application(FIRST.application_id) is not None

    on_tables(storage, rule)


def test_sixteen_writers_create_the_tables_together(storage: Storage) -> None:
    """The first events of a new account can come at the same moment; none of them is refused."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        del service
        names = [f"app{number}" for number in range(16)]
        await asyncio.gather(*(tables.insert_application(Application.of(_of(name))) for name in names))
        assert sorted([row.application_id.name async for row in tables.applications()]) == sorted(names)

    on_tables(storage, rule)


def test_the_columns_are_those_of_the_contract(storage: Storage) -> None:
    """Others read these tables: names, types and values are an interface."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        failed = events.notification("DELETE", "Failed", eventTime="2026-03-01T11:00:00.0000001Z", plan=None)
        defined = events.notification(applicationDefinitionId=events.DEFINITION_ID)
        await tables.insert_application(merge(Application.of(defined), failed))
        row = await service.get_table_client(APPLICATIONS).get_entity(
            "00000000-1111-2222-3333-444444444444", "rg-orders|orders"
        )
        times = {name: row.pop(name).tables_service_value for name in ("eventTime", "firstEventTime")}
        assert times == {"eventTime": "2026-03-01T11:00:00.0000001Z", "firstEventTime": "2026-03-01T10:00:00.1234567Z"}
        assert dict(row) == {
            "PartitionKey": "00000000-1111-2222-3333-444444444444",
            "RowKey": "rg-orders|orders",
            "applicationId": events.APPLICATION_ID,
            "subscriptionId": "00000000-1111-2222-3333-444444444444",
            "resourceGroup": "rg-orders",
            "applicationName": "orders",
            "provisioningState": "Failed",
            "eventType": "DELETE",
            "order": failed.order,
            "errorCode": "DeploymentFailed",
            "errorMessage": "At least one resource deployment operation failed.",
            "error": failed.error_json,
            "firstOrder": defined.order,
            "planPublisher": "fabrikam",
            "planProduct": "orders",
            "planName": "standard",
            "planVersion": "1.2.0",
            "planOrder": defined.order,
            "resourceUsageId": events.USAGE_ID,
            "resourceUsageIdOrder": failed.order,
            "applicationDefinitionId": events.DEFINITION_ID,
            "applicationDefinitionIdOrder": defined.order,
        }

    on_tables(storage, rule)


def test_the_columns_of_the_inbox_and_of_rejections(storage: Storage) -> None:
    """The body stays as it came, byte for byte, and people who look see what it is about."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        spaced = Notification.from_body(b" " + events.body() + b"\r\n", now=events.NOW)
        await tables.add_notification(spaced, events.NOW)
        await tables.add_rejection(Rejection.of(b"{}", events.NOW, [{"loc": ["plan", 0], "msg": "é"}]))
        await tables.add_rejection(Rejection.of(b"\xff\x00", events.NOW))
        notifications = [dict(entity) async for entity in service.get_table_client(INBOX).list_entities()]
        rejections = [dict(entity) async for entity in service.get_table_client(REJECTIONS).list_entities()]
        assert notifications == [
            {
                "PartitionKey": "00000000-1111-2222-3333-444444444444|rg-orders|orders",
                "RowKey": spaced.order,
                "receivedAt": events.NOW,
                "eventType": "PUT",
                "provisioningState": "Accepted",
                "body": " " + events.body().decode() + "\r\n",
            }
        ]
        assert [entity.pop("RowKey") for entity in rejections] == sorted(
            Rejection.of(body, events.NOW).digest for body in (b"{}", b"\xff\x00")
        )
        shared = {
            "PartitionKey": "2026-03-02",
            "receivedAt": events.NOW,
            "reason": "invalid",
            "size": 2,
            "truncated": False,
        }
        assert {"errors": '[{"loc": ["plan", 0], "msg": "é"}]', "body": "{}"} | shared in rejections
        assert {"errors": "[]", "body": b"\xff\x00"} | shared in rejections

    on_tables(storage, rule)


def test_a_row_that_was_read_has_no_difference_to_the_one_that_was_written(storage: Storage) -> None:
    """What the SDK makes of a time on its way must not look like somebody's edit, and an edit by 100 ns must."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        failed = events.notification("DELETE", "Failed", eventTime="2026-03-01T11:00:00.0000001Z", plan=None)
        whole = merge(Application.of(events.notification(eventTime="2026-03-01T09:00:00Z")), failed)
        await tables.insert_application(whole)
        row = await tables.row(whole.application_id)
        assert row is not None
        assert differences(row.entity, whole) == []
        assert fingerprint(row.entity) == fingerprint(application_entity(whole))
        client = service.get_table_client(APPLICATIONS)
        later = ("2026-03-01T11:00:00.0000002Z", "Edm.DateTime")
        keys = {"PartitionKey": whole.application_id.partition_key, "RowKey": whole.application_id.row_key}
        await client.update_entity({**keys, "eventTime": later, "calls": (5, "Edm.Int64")})
        row = await tables.row(whole.application_id)
        assert row is not None
        assert differences(row.entity, whole) == [
            ("eventTime", "2026-03-01T11:00:00.0000002Z", "2026-03-01T11:00:00.0000001Z"),
            ("calls", "5", None),
        ]

    on_tables(storage, rule)


def test_the_inbox_can_be_read_with_what_does_not_belong_there(storage: Storage) -> None:
    """One entry that somebody broke must not hide the others."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        await tables.add_notification(FIRST, events.NOW)
        await tables.add_notification(SECOND, events.NOW)
        stranger = {"PartitionKey": FIRST.application_id.inbox_partition_key, "RowKey": "x"}
        await service.get_table_client(INBOX).create_entity(stranger)
        mine = Where("PartitionKey eq @key", {"key": FIRST.application_id.inbox_partition_key})
        assert [row.entity["RowKey"] async for row in tables.entries(mine)] == [FIRST.order, SECOND.order, "x"]
        assert [row.entity["RowKey"] async for row in tables.entries(Where("RowKey eq @key", {"key": "y"}))] == []

    on_tables(storage, rule)


@pytest.mark.parametrize("body", [b"", "Grüße 😀".encode(), b"\xff\x00" * 70_000, b"x" * (BODY_LIMIT + 1)], ids=len)
def test_a_refused_body_is_read_back_as_it_was_kept(storage: Storage, body: bytes) -> None:
    """What is recorded after an upgrade must be what came."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        del service
        rejection = Rejection.of(body, events.NOW, [{"loc": ["plan", 0], "msg": "é"}])
        assert await tables.rejection(rejection.day, rejection.digest) is None
        await tables.add_rejection(rejection)
        row = await tables.rejection(rejection.day, rejection.digest)
        assert row is not None
        assert rejection_of(row.entity) == rejection
        assert [rejection_of(row.entity) async for row in tables.rejections()] == [rejection]
        facts = [rejection_of(row.entity) async for row in tables.rejections(bodies=False)]
        assert facts == [dataclasses.replace(rejection, body="")]
        later = Where("PartitionKey ge @day", {"day": "2026-03-03"})
        assert [row async for row in tables.rejections(later)] == []

    on_tables(storage, rule)


def test_a_refused_body_is_marked_once(storage: Storage) -> None:
    """Of two that mark it at once, one learns of the other; the body and its errors stay."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        del service
        rejection = Rejection.of(b"\xff", events.NOW, [{"loc": [], "msg": "no"}])
        await tables.add_rejection(rejection)
        row = await tables.rejection(rejection.day, rejection.digest)
        assert row is not None
        await tables.mark_recorded(rejection, row.version, events.NOW)
        with pytest.raises(ConflictError):
            await tables.mark_recorded(rejection, row.version, events.NOW)
        row = await tables.rejection(rejection.day, rejection.digest)
        assert row is not None
        assert rejection_of(row.entity) == dataclasses.replace(rejection, recorded_at=events.NOW)

    on_tables(storage, rule)


@pytest.mark.parametrize("filler", ["a", "é", "日", "😀", '"', "\\", "\u0001", "a😀"], ids=ascii)
def test_the_longest_body_is_kept_whole(storage: Storage, filler: str) -> None:
    """A body of 256 KiB needs up to eight properties, and no character may be cut in two between them."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        del service
        empty = len(events.body(more=""))
        units = (BODY_LIMIT - empty) // len(_escaped(filler))
        long = Notification.from_body(
            events.body(more="").replace(b'"more": ""', b'"more": "' + _escaped(filler) * units + b'"'), now=events.NOW
        )
        assert await tables.add_notification(long, events.NOW)
        assert [entry.body async for entry in tables.inbox()] == [long.body]

    on_tables(storage, rule)


@pytest.mark.parametrize(
    "name",
    ["<app>", "a'b", "a b", " a", "a%20b", "a%2fb", "a+b&c=d", "ünï", "日本", "😀", "..", "a;b:c@d,e!f$(g)*~`^{}[]"],
)
def test_odd_names_keep_their_rows_apart(storage: Storage, name: str) -> None:
    """Keys travel in URLs; a name that is escaped once too often or not at all would miss its row."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        del service
        first, second = _of(name), _of(name, "PUT", "Succeeded", "2026-03-01T10:05:00Z")
        written = await tables.insert_application(Application.of(first))
        await tables.replace_application(merge(written.application, second), written.version)
        await tables.add_notification(second, events.NOW)
        assert await tables.add_notification(second, events.NOW) is False
        read = await tables.read_application(first.application_id)
        assert read is not None
        assert read.application.order == second.order

    on_tables(storage, rule)


def test_a_row_that_somebody_broke_is_a_clear_fault(storage: Storage) -> None:
    """The operator learns which row to mend; the event is kept by the Marketplace until that is done."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        await tables.insert_application(Application.of(FIRST))
        row = {"PartitionKey": "00000000-1111-2222-3333-444444444444", "RowKey": "rg-orders|orders", "order": "soon"}
        await service.get_table_client(APPLICATIONS).update_entity(row)
        with pytest.raises(
            StoreError, match=r"'rg-orders\|orders' of ManagedApplications is not one that this app wrote"
        ):
            await tables.read_application(FIRST.application_id)

    on_tables(storage, rule)


def test_an_entry_that_somebody_broke_does_not_hide_the_others(storage: Storage) -> None:
    """Whoever copies the inbox gets all that is there, with the columns that were asked for."""

    async def rule(tables: Tables, service: TableServiceClient) -> None:
        await tables.add_notification(FIRST, events.NOW)
        await tables.add_notification(SECOND, events.NOW)
        broken = {"PartitionKey": "!", "RowKey": "soon", "body": "{}", "eventType": "PUT"}
        await service.get_table_client(INBOX).create_entity(broken)
        everything = [row async for row in tables.entries()]
        some = tables.entries(Where("RowKey ge @first", {"first": FIRST.order}), ["RowKey", "body"])

        assert [row.entity["RowKey"] for row in everything] == ["soon", FIRST.order, SECOND.order]
        assert everything[0].entity == broken
        assert all(row.version and row.changed_at for row in everything)
        assert [row.entity async for row in some] == [
            {"RowKey": "soon", "body": "{}"},
            {"RowKey": FIRST.order, "body": FIRST.body},
            {"RowKey": SECOND.order, "body": SECOND.body},
        ]

    on_tables(storage, rule)


OPERATIONS: dict[str, Callable[[Tables], Awaitable[object]]] = {
    "insert": lambda tables: tables.insert_application(Application.of(FIRST)),
    "add": lambda tables: tables.add_notification(FIRST, events.NOW),
    "reject": lambda tables: tables.add_rejection(Rejection.of(b"{}", events.NOW)),
    "read": lambda tables: tables.read_application(FIRST.application_id),
    "replace": lambda tables: tables.replace_application(Application.of(FIRST), "W/\"datetime'2026'\""),
    "mark": lambda tables: tables.mark_recorded(Rejection.of(b"{}", events.NOW), "W/\"datetime'2026'\"", events.NOW),
}
REASONS = {
    Fault.DROP: "storage could not be reached: ServerDisconnectedError",
    Fault.DROP_ANSWER: "storage could not be reached: ServerDisconnectedError",
    Fault.BUSY: "storage answered 503 ServerBusy",
    Fault.BUSY_AFTER: "storage answered 503 ServerBusy",
    Fault.ERROR_AFTER: "storage answered 500 InternalError",
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", REASONS, ids=lambda fault: fault.name)
def test_a_fault_that_stays_is_reported_as_what_it_is(
    storage: Storage, azurite: Azurite, operation: str, fault: Fault
) -> None:
    """The log line has to blame the right part: what was tried, on which table, and how storage failed."""

    async def run() -> None:
        async with (
            Relay(azurite.port, lambda _: fault) as relay,
            Tables.connect(Storage(storage.connection, connection_string(relay.port))) as tables,
        ):
            tally.set(counted := Tally())
            with pytest.raises(StoreError) as error:
                await OPERATIONS[operation](tables)
            assert REASONS[fault] in str(error.value)
            assert " in ManagedApplication" in str(error.value)
            assert str(error.value).endswith("(connection STATE_STORAGE)")
            assert counted.requests == 3
            assert relay.requests in (3, 6)  # aiohttp repeats GET and PUT once by itself, uncounted

    asyncio.run(run())


@pytest.mark.parametrize("fault", [*REASONS, Fault.HALF_ANSWER], ids=lambda fault: fault.name)
def test_a_fault_in_passing_is_not_noticed(storage: Storage, azurite: Azurite, fault: Fault) -> None:
    """One lost packet is no reason for the Marketplace to come back; a write that was done after all is a conflict."""

    async def run() -> None:
        async with (
            Relay(azurite.port) as relay,
            Tables.connect(Storage(storage.connection, connection_string(relay.port))) as tables,
        ):
            await tables.insert_application(Application.of(_of("other")))
            await tables.add_notification(_of("other"), events.NOW)
            struck: list[str] = []

            def once_a_method(request: BaseRequest) -> Fault | None:
                if request.method in struck:
                    return None
                struck.append(request.method)
                return fault

            relay.choose = once_a_method
            done = fault in (Fault.DROP_ANSWER, Fault.BUSY_AFTER, Fault.ERROR_AFTER)
            assert await tables.add_notification(FIRST, events.NOW) is not done
            assert await tables.add_notification(FIRST, events.NOW) is False
            assert await tables.read_application(FIRST.application_id) is None
            assert set(struck) == {"POST", "GET"}

    asyncio.run(run())


def test_a_request_that_hangs_once_is_repeated_in_time(storage: Storage, azurite: Azurite) -> None:
    """One packet that disappears costs three seconds, not the call: an answer has to be out within eight."""

    async def run() -> None:
        async with (
            Relay(azurite.port) as relay,
            Tables.connect(Storage(storage.connection, connection_string(relay.port))) as tables,
        ):
            await tables.add_notification(_of("other"), events.NOW)
            faults = iter([Fault.HANG])
            relay.choose = lambda _: next(faults, None)
            started = time.monotonic()
            assert await tables.add_notification(FIRST, events.NOW) is True
            assert 2.9 < time.monotonic() - started < 6

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.GARBAGE, "an answer that cannot be read: UnicodeDecodeError"),
        (Fault.HALF_ANSWER, "an answer that cannot be read"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_answer_that_cannot_be_read_is_a_fault_of_storage(
    storage: Storage, azurite: Azurite, fault: Fault, reason: str
) -> None:
    """A proxy's error page is not the app's bug, and must not be taken for a row."""

    async def run() -> None:
        async with (
            Relay(azurite.port) as relay,
            Tables.connect(Storage(storage.connection, connection_string(relay.port))) as tables,
        ):
            await tables.insert_application(Application.of(FIRST))
            relay.choose = lambda _: fault
            with pytest.raises(StoreError, match=reason):
                await tables.read_application(FIRST.application_id)

    asyncio.run(run())


def test_storage_that_is_not_there_is_reported(storage: Storage) -> None:
    """Nobody listens: the reason names that, and the attempt does not take long."""

    async def run() -> None:
        unused = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = unused.sockets[0].getsockname()[1]
        unused.close()
        await unused.wait_closed()
        async with Tables.connect(Storage(storage.connection, connection_string(port))) as tables:
            with pytest.raises(StoreError, match="could not be reached: ClientConnectorError"):
                await tables.add_notification(FIRST, events.NOW)

    asyncio.run(run())


def test_a_wrong_key_is_reported_without_the_key(storage: Storage, azurite: Azurite) -> None:
    """A rotated account key is the most common cause; the line says 403, and no log holds either key."""
    key = "d3JvbmcgYW5kIHNlY3JldA=="
    wrong = (
        azurite.connection_string.split("AccountKey=")[0]
        + f"AccountKey={key};TableEndpoint=http://127.0.0.1:{azurite.port}/devstoreaccount1"
    )

    async def run() -> None:
        async with Tables.connect(Storage(storage.connection, wrong)) as tables:
            with pytest.raises(StoreError, match="storage answered 403") as error:
                await tables.add_notification(FIRST, events.NOW)
            assert key not in repr(error.value)

    asyncio.run(run())


def _of(
    name: str, event_type: str = "PUT", state: str = "Accepted", time: str = "2026-03-01T10:00:00Z"
) -> Notification:
    return events.notification(event_type, state, applicationId=events.application_id(name), eventTime=time)


def _escaped(text: str) -> bytes:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\u0001", "\\u0001").encode()
