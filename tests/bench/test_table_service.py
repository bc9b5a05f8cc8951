"""That the stand-in for Table Storage answers as Azurite does, to the client that reads both."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables.aio import TableClient, TableServiceClient

from bench import table_service as stand_in
from bench.table_service import contents, table_service
from tools.azurite import Azurite, missing
from webhook.entities import application_of, inbox_entry
from webhook.tables import APPLICATIONS, INBOX, REJECTIONS

SIZE = 1_050
BLOCK = 400
"""Applications: more than a page; and of those, how many are no copies."""

Page = list[dict[str, Any]]


@pytest.fixture(scope="module")
def both() -> Iterator[Sequence[str]]:
    """Fill Azurite with what is in the stand-in, and give the connection strings of both."""
    if reason := missing():
        pytest.skip(reason)
    with Azurite() as azurite, table_service(SIZE, block=BLOCK) as service:
        asyncio.run(_fill(azurite.connection_string))
        yield azurite.connection_string, service.connection_string


async def _fill(connection_string: str) -> None:
    async with TableServiceClient.from_connection_string(connection_string) as service:
        for name, content in contents(SIZE, block=BLOCK).items():
            table = await service.create_table(name)
            rows = [("create", entity) for entity in content]
            partitions = [list(rows) for _, rows in groupby(rows, key=lambda row: row[1]["PartitionKey"])]
            waiting = iter(partitions)

            async def one_after_the_other(table: TableClient, waiting: Iterator[Any]) -> None:
                for partition in waiting:
                    for start in range(0, len(partition), 100):
                        await table.submit_transaction(partition[start : start + 100])

            await asyncio.gather(*(one_after_the_other(table, waiting) for _ in range(8)))


def pages(connection_string: str, table: str, query: str = "", **options: Any) -> list[Page]:  # noqa: ANN401 - the SDK's
    """List a table, page by page."""

    async def run() -> list[Page]:
        async with TableServiceClient.from_connection_string(connection_string) as service:
            found = service.get_table_client(table).query_entities(query, **options).by_page()
            return [[_plain(entity) async for entity in page] async for page in found]

    return asyncio.run(run())


def _plain(entity: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row with times as they were sent, and of its metadata what is there and not what it is."""
    times = {
        name: value.tables_service_value for name, value in entity.items() if hasattr(value, "tables_service_value")
    }
    metadata: Mapping[str, Any] = entity.metadata  # type: ignore[attr-defined] # of the SDK's own dictionary
    return {**entity, **times, "metadata": {name: type(value) for name, value in metadata.items()}}


QUERIES: dict[str, tuple[str, dict[str, Any]]] = {
    "everything": ("", {}),
    "some columns": ("", {"select": ["PartitionKey", "RowKey", "eventType", "planName", "errorCode", "receivedAt"]}),
    "columns without the key": ("", {"select": ["eventTime", "provisioningState"]}),
    "pages of another size": ("", {"results_per_page": 170}),
    "a page that is the last by a hair": ("", {"results_per_page": SIZE // 2}),
    "a range of keys": ("RowKey gt '2025-07-01T' and RowKey le 'm'", {"select": ["RowKey"]}),
    "a range of keys, without its ends": ("RowKey ge '2025-07-01T' and RowKey lt 'm'", {}),
    "nothing": ("RowKey gt '~'", {}),
}


@pytest.mark.parametrize(("query", "options"), QUERIES.values(), ids=QUERIES.keys())
@pytest.mark.parametrize("table", [APPLICATIONS, INBOX])
def test_it_lists_what_azurite_lists(both: Sequence[str], table: str, query: str, options: dict[str, Any]) -> None:
    """The same rows, columns and types, in the same order, on the same pages."""
    azurite, service = (pages(each, table, query, **options) for each in both)

    assert [len(page) for page in service] == [len(page) for page in azurite]
    assert service == azurite
    assert any(service) == (query != QUERIES["nothing"][0])


@pytest.mark.parametrize("number", [0, BLOCK - 1, BLOCK, SIZE - 1])
def test_a_partition_is_found_as_azurite_finds_it(both: Sequence[str], number: int) -> None:
    """In the first block, and in a copy."""
    key = contents(SIZE, block=BLOCK)[APPLICATIONS].key(number)
    whole = {"parameters": {"key": f"{key.partition}|{key.row}"}}
    rest = {"parameters": {**whole["parameters"], "row": "2025-06-01T"}}

    for query, options in (("PartitionKey eq @key", whole), ("PartitionKey eq @key and RowKey ge @row", rest)):
        azurite, service = (pages(each, INBOX, query, **options) for each in both)
        assert service == azurite
    assert len(pages(both[1], INBOX, "PartitionKey eq @key", **whole)[0]) >= stand_in.EVENTS


def test_a_table_that_is_not_there_is_not_there(both: Sequence[str]) -> None:
    """The console takes that for an empty one."""
    for each in both:
        with pytest.raises(ResourceNotFoundError):
            pages(each, REJECTIONS)


@pytest.mark.parametrize("query", ["provisioningState eq 'Failed'", "not ( RowKey eq 'a' )", "RowKey eq 'a' or true"])
def test_what_it_does_not_know_it_refuses(both: Sequence[str], query: str) -> None:
    """A filter that is passed over would be a benchmark of something else."""
    with pytest.raises(HttpResponseError, match=r"the condition"):
        pages(both[1], APPLICATIONS, query)


def test_writes_are_refused(both: Sequence[str]) -> None:
    """It keeps nothing."""

    async def run() -> None:
        async with TableServiceClient.from_connection_string(both[1]) as service:
            await service.get_table_client(APPLICATIONS).create_entity({"PartitionKey": "a", "RowKey": "b"})

    with pytest.raises(HttpResponseError, match="POST"):
        asyncio.run(run())


def test_the_rows_are_such_as_the_webhook_writes() -> None:
    """What is read in the benchmark is read as in life: rows and notifications of the webhook, which it can read."""
    tables = contents(700, block=300)
    rows, inbox = list(tables[APPLICATIONS]), list(tables[INBOX])
    keys = [(entity["PartitionKey"], entity["RowKey"]) for entity in inbox]
    applications = [application_of(entity) for entity in rows]

    assert (len(rows), len(inbox)) == (700, tables[INBOX].total)
    assert 9 <= len(inbox) / len(rows) <= 11
    assert keys == sorted(set(keys))
    assert [each.application_id.partition_key for each in applications] == [entity["PartitionKey"] for entity in rows]
    assert {f"{entity['PartitionKey']}|{entity['RowKey']}": entity["order"] for entity in rows} == dict(keys)
    assert all(inbox_entry(entity).body for entity in inbox)
    assert len({str(entity) for entity in rows}) == 700
