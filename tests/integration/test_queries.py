"""What can be asked of the tables, beside what the webhook needs: some rows, some columns, and whether all is well."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import TableSasPermissions, TableServiceClient, generate_table_sas

from tests import events
from tools.azurite import Azurite
from webhook.application import Application
from webhook.entities import INBOX_FACTS, inbox_entry
from webhook.notification import ApplicationId, Notification
from webhook.settings import Storage
from webhook.store import StoreError, Where
from webhook.tables import APPLICATIONS, INBOX, REJECTIONS, Tables

EVENTS = [
    events.notification(
        "PUT", state, applicationId=events.application_id(name), eventTime=f"2026-03-01T{hour}:00:00.5Z"
    )
    for name, state, hour in (("one", "Accepted", "10"), ("two", "Succeeded", "11"), ("it's", "Failed", "12"))
]


def ask(storage: Storage, question: Callable[[Tables], Awaitable[None]], kept: list[Notification] = EVENTS) -> None:
    """Put a question to tables in which some events were recorded."""

    async def run() -> None:
        async with Tables.connect(storage) as tables:
            for event in kept:
                await tables.add_notification(event, events.NOW)
                await tables.insert_application(Application.of(event))
            await question(tables)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (Where("", {}), ["it's", "one", "two"]),
        (Where("provisioningState eq @state", {"state": "Failed"}), ["it's"]),
        (Where("applicationName eq @name", {"name": "it's"}), ["it's"]),
        (Where("applicationName eq @name", {"name": "x' or applicationName ne '"}), []),
        (Where("eventTime ge @since", {"since": datetime(2026, 3, 1, 11, 0, 0, 500_000, tzinfo=UTC)}), ["it's", "two"]),
        (Where("eventTime ge @since", {"since": datetime(2026, 3, 1, 11, 0, 0, 501_000, tzinfo=UTC)}), ["it's"]),
        (
            Where("( provisioningState eq @a or provisioningState eq @b )", {"a": "Accepted", "b": "Succeeded"}),
            ["one", "two"],
        ),
    ],
)
def test_the_service_filters_and_takes_values_as_values(storage: Storage, where: Where, names: list[str]) -> None:
    """Rows that nobody wants are not sent, and no value can change the question."""

    async def question(tables: Tables) -> None:
        assert [row.entity["applicationName"] async for row in tables.rows(where)] == names

    ask(storage, question)


def test_only_the_columns_that_are_wanted_are_fetched(storage: Storage) -> None:
    """A list of names must not move every error message; a row still comes with its version."""

    async def question(tables: Tables) -> None:
        rows = [row async for row in tables.rows(columns=("RowKey", "applicationName"))]
        assert [dict(row.entity) for row in rows] == [
            {"RowKey": f"rg-orders|{name}", "applicationName": name} for name in ("it's", "one", "two")
        ]
        assert all(row.version and row.changed_at is None for row in rows)

    ask(storage, question)


def test_a_row_is_given_as_it_is_with_the_time_of_its_last_change(storage: Storage) -> None:
    """Whoever mends a row needs what is there, not only what can be read."""

    async def question(tables: Tables) -> None:
        row = await tables.row(EVENTS[0].application_id)
        assert row is not None
        assert row.entity["applicationName"] == "one"
        assert row.changed_at is not None
        assert abs(row.changed_at - datetime.now(UTC)) < timedelta(minutes=1)
        assert [each async for each in tables.rows(Where("RowKey eq @key", {"key": "rg-orders|one"}))] == [row]
        assert await tables.row(ApplicationId.parse(events.application_id("three"))) is None

    ask(storage, question)


def test_the_inbox_can_be_asked_without_bodies(storage: Storage) -> None:
    """Figures over a million notifications need their times and states alone."""

    async def question(tables: Tables) -> None:
        where = Where("RowKey ge @since", {"since": "2026-03-01T11"})
        entries = [inbox_entry(row.entity) async for row in tables.entries(where, INBOX_FACTS)]
        whole = [inbox_entry(row.entity) async for row in tables.entries(where)]
        assert [entry.order for entry in entries] == [EVENTS[2].order, EVENTS[1].order]
        assert [entry._replace(body="") for entry in whole] == entries
        assert [entry.body for entry in whole] == [EVENTS[2].body, EVENTS[1].body]

    ask(storage, question)


def test_a_look_tells_whether_a_table_is_there_and_what_time_the_service_has(storage: Storage) -> None:
    """A new account has no tables, and nothing is wrong with it."""

    async def question(tables: Tables) -> None:
        looks = {name: await tables.look(name) for name in (APPLICATIONS, INBOX, REJECTIONS)}
        assert [look.there for look in looks.values()] == [True, True, False]
        for look in looks.values():
            assert look.time is not None
            assert abs(look.time - datetime.now(UTC)) < timedelta(minutes=1)

    ask(storage, question)


def test_a_table_without_rows_is_there(storage: Storage) -> None:
    """An empty page is an answer."""
    with TableServiceClient.from_connection_string(storage.connection_string or "") as service:
        service.create_table(INBOX)

    async def question(tables: Tables) -> None:
        assert (await tables.look(INBOX)).there

    ask(storage, question, [])


def test_trying_to_write_leaves_nothing(storage: Storage) -> None:
    """The question whether one may write must not be answered with a row that nobody sent."""

    async def question(tables: Tables) -> None:
        before = [row async for row in tables.rows()]
        await tables.try_writing(APPLICATIONS)
        assert [row async for row in tables.rows()] == before

    ask(storage, question)


@pytest.mark.parametrize("allowed", ["r", "ra", "ru"])
def test_who_may_not_insert_and_replace_is_told(storage: Storage, azurite: Azurite, allowed: str) -> None:
    """Rights to read are often there long before those to write, and the first event shows it."""
    parts = dict(part.split("=", 1) for part in (storage.connection_string or "").strip(";").split(";"))
    signature = generate_table_sas(
        AzureNamedKeyCredential(parts["AccountName"], parts["AccountKey"]),
        APPLICATIONS,
        permission=TableSasPermissions(read=True, add="a" in allowed, update="u" in allowed),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    endpoint = f"http://127.0.0.1:{azurite.port}/{parts['AccountName']}"
    reader = Storage("READER", f"TableEndpoint={endpoint};SharedAccessSignature={signature}")

    async def question(_: Tables) -> None:
        async with Tables.connect(reader) as tables:
            assert (await tables.look(APPLICATIONS)).there
            with pytest.raises(StoreError, match=r"^inserting and replacing a row in .* storage answered 403") as error:
                await tables.try_writing(APPLICATIONS)
            assert error.value.cause.startswith("403 ")

    ask(storage, question)
