"""Table Storage with a great many applications in it, to be read: a stand-in for where Azurite takes too long to fill.

    with table_service(100_000) as service:
        settings = {"STATE_STORAGE": service.connection_string}

What is in it is what the webhook makes of simulated customers. One block of them is made, and the others are its copies
with other IDs, so that a page of any table costs the time to copy it, and the memory does not grow. The orders of
copies keep the digests of the originals, which is nothing that a reader looks at.

It answers queries of the two tables page by page, as Azurite does (tests/bench holds it to that), and refuses what it
does not know. It is a process of its own, so that its work is not part of what is measured, checks no signature, and
takes no write.
"""

import asyncio
import json
import os
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, reduce
from itertools import count, islice
from operator import eq, ge, gt, le, lt
from subprocess import PIPE, Popen
from typing import IO, Any, NamedTuple, cast

from aiohttp import web

from bench.delay import ROOT
from console.marketplace.lives import Life, Span, lives
from webhook.application import merge
from webhook.entities import Entity, application_entity, inbox_entity
from webhook.notification import Notification
from webhook.tables import APPLICATIONS, INBOX

BLOCK = 2_000
"""Applications that are made; the others are copies of them."""

EVENTS = 7
"""The least that a customer has to have had of them. Those who had so many had 10 on average."""

PAGE = 1_000
"""Entities in an answer: the service's limit."""

_SPAN = Span(datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=365))
_WRITTEN = "2026-01-02T03:04:05.6789012Z"
_ETAG = "W/\"datetime'2026-01-02T03%3A04%3A05.6789012Z'\""
_GUID_START = re.compile(r"\b[0-9a-f]{8}(?=-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)")
_COPY = "\x01"  # stands for the eight digits of the copy's number, with which all its GUIDs begin; no JSON holds it

_CONDITION = re.compile(r"(PartitionKey|RowKey) (eq|ge|gt|le|lt) '((?:[^']|'')*)'")
_COMPARE: Mapping[str, Callable[[str, str], bool]] = {"eq": eq, "ge": ge, "gt": gt, "le": le, "lt": lt}


class UnsupportedError(Exception):
    """A query that this does not answer; the text says what of it."""


class Property(NamedTuple):
    """A column of an entity: its name, and itself as JSON, with its type where that does not show."""

    name: str
    json: str


class Key(NamedTuple):
    """Where an entity is."""

    partition: str
    row: str


@dataclass(frozen=True)
class Content:
    """A table.

    Attributes:
        entities: of one block of applications, in the order of their keys, each with its columns.
        total: how many there are, copies included.
    """

    entities: Sequence[Entity]
    total: int

    def __iter__(self) -> Iterator[Entity]:
        """Give every entity as the webhook would write it."""
        for number in range(self.total):
            copy, which = divmod(number, len(self.entities))
            yield {
                name: value.replace(_COPY, f"{copy:08x}") if isinstance(value, str) else value
                for name, value in self.entities[which].items()
            }

    def key(self, number: int) -> Key:
        """Give the key of the how manieth entity."""
        copy, which = divmod(number, len(self.entities))
        key = self._keys[which]
        return Key(key.partition.replace(_COPY, f"{copy:08x}"), key.row)

    def page(self, query: "Query") -> tuple[bytes, int | None]:
        """Give an answer, and the number of the entity with which the next one begins; None after the last."""
        numbers = list(islice(self._matching(query), query.top + 1))
        following = numbers.pop() if len(numbers) > query.top else None
        texts = self._texts(query.select)
        pieces: dict[int, list[str]] = {}
        for number in numbers:
            copy, which = divmod(number, len(self.entities))
            pieces.setdefault(copy, []).append(texts[which])
        value = ",".join(",".join(each).replace(_COPY, f"{copy:08x}") for copy, each in pieces.items())
        return f'{{"odata.metadata":"$metadata#Tables/@Element","value":[{value}]}}'.encode(), following

    def _matching(self, query: "Query") -> Iterator[int]:
        def partition(number: int) -> str:
            return self.key(number).partition

        start, end = query.start, self.total
        rest = []
        for condition in query.conditions:
            if condition.column == "PartitionKey" and condition.operator == "eq":
                start = max(start, bisect_left(range(self.total), condition.value, key=partition))
                end = min(end, bisect_right(range(self.total), condition.value, key=partition))
            else:
                rest.append(condition)
        numbers = range(start, end)
        return (n for n in numbers if all(each.holds(self.key(n)) for each in rest)) if rest else iter(numbers)

    @cached_property
    def _keys(self) -> Sequence[Key]:
        return [Key(entity["PartitionKey"], entity["RowKey"]) for entity in self.entities]

    @cached_property
    def _texts(self) -> Callable[[tuple[str, ...]], Sequence[str]]:
        """Give the function that gives all entities of the block as JSON, with the columns that were asked for."""
        columns = [
            [*_properties(entity), Property("Timestamp", f'"Timestamp":"{_WRITTEN}"')] for entity in self.entities
        ]
        etag = f'"odata.etag":{json.dumps(_ETAG)}'

        @cache
        def texts(select: tuple[str, ...]) -> Sequence[str]:
            return [
                f"{{{','.join([etag, *(each.json for each in entity if not select or each.name in select)])}}}"
                for entity in columns
            ]

        return texts


def _properties(entity: Entity) -> Iterator[Property]:
    """Write columns as the service does."""
    for name, value in entity.items():
        if isinstance(value, str):
            yield Property(name, f'"{name}":{json.dumps(value, ensure_ascii=False)}'.replace("\\u0001", _COPY))
            continue
        time = value[0] if isinstance(value, tuple) else f"{value:%Y-%m-%dT%H:%M:%S.%f}Z"
        yield Property(name, f'"{name}@odata.type":"Edm.DateTime","{name}":"{time}"')


@dataclass(frozen=True, slots=True)
class Condition:
    """What a key has to be."""

    column: str
    operator: str
    value: str

    def holds(self, key: Key) -> bool:
        """Tell whether it is so."""
        return _COMPARE[self.operator](key.partition if self.column == "PartitionKey" else key.row, self.value)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a table.

    Attributes:
        conditions: all of which an entity has to meet.
        select: names of columns; all if empty.
        top: how many entities an answer may hold.
        start: the number of the entity with which the answer begins.
    """

    conditions: Sequence[Condition] = ()
    select: tuple[str, ...] = ()
    top: int = PAGE
    start: int = 0

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> "Query":
        """Read the parameters of a URL.

        Raises:
            UnsupportedError: there is something in it that this does not know.
        """
        known = {"$filter", "$select", "$top", "NextPartitionKey", "NextRowKey"}
        if unknown := set(parameters) - known:
            raise UnsupportedError(f"the parameters {sorted(unknown)}")
        conditions = []
        for text in filter(None, parameters.get("$filter", "").split(" and ")):
            if not (match := _CONDITION.fullmatch(text)):
                raise UnsupportedError(f"the condition {text}")
            conditions.append(Condition(match[1], match[2], match[3].replace("''", "'")))
        select = tuple(filter(None, parameters.get("$select", "").split(",")))
        top = min(PAGE, int(parameters.get("$top", PAGE)))
        return cls(conditions, select, top, int(parameters.get("NextPartitionKey", "0")))


def contents(applications: int, block: int = BLOCK) -> Mapping[str, Content]:
    """Give the tables of so many applications, by their names; `block` of them are made, the others are copies."""
    population = list(islice(_customers(), min(block, applications)))
    pairs = sorted((_entities(life) for life in population), key=lambda pair: pair[0]["PartitionKey"])
    rows, entries = [row for row, _ in pairs], [entry for _, inbox in pairs for entry in inbox]
    blocks, more = divmod(applications, len(pairs))
    notifications = blocks * len(entries) + sum(len(inbox) for _, inbox in pairs[:more])
    return {APPLICATIONS: Content(rows, applications), INBOX: Content(entries, notifications)}


def _customers() -> Iterator[Life]:
    """Give customers to whom much has happened."""
    for seed in count():
        yield from (life for life in lives(seed, 500, _SPAN) if len(life.events) >= EVENTS)


def _entities(life: Life) -> tuple[Entity, Sequence[Entity]]:
    """Give a customer's row and inbox as the webhook writes them, open for the number of the copy."""
    notifications = [Notification.from_body(event.body, now=_SPAN.end) for event in life.events]
    row = application_entity(cast("Any", reduce(merge, notifications, None)))
    entries = [
        inbox_entity(each, datetime.fromisoformat(each.event_time[:19]).replace(tzinfo=UTC) + timedelta(seconds=2.5))
        for each in notifications
    ]
    return _open(row), [_open(entry) for entry in sorted(entries, key=lambda entry: str(entry["RowKey"]))]


def _open(entity: Entity) -> Entity:
    return {name: _GUID_START.sub(_COPY, value) if isinstance(value, str) else value for name, value in entity.items()}


@dataclass(frozen=True, slots=True)
class TableService:
    """A running stand-in.

    port: where it listens on 127.0.0.1.
    """

    port: int

    @property
    def connection_string(self) -> str:
        """For the setting STATE_STORAGE."""
        from tools.azurite import connection_string  # noqa: PLC0415 - not for the service's own process

        return connection_string(self.port)


@contextmanager
def table_service(applications: int, block: int = BLOCK) -> Iterator[TableService]:
    """Run a table service with so many applications; `block` of them are made, the others are copies."""
    from tools.problem import Problem  # noqa: PLC0415 - not for the service's own process

    command = [sys.executable, "-m", "bench.table_service", str(applications), str(block)]
    with Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True, start_new_session=os.name == "posix") as process:
        try:
            if not (port := cast("IO[str]", process.stdout).readline()):
                raise Problem("the table service did not start; why is above")
            yield TableService(int(port))
        finally:
            process.terminate()


async def _serve(applications: int, block: int) -> None:
    tables = contents(applications, block)

    async def answer(request: web.BaseRequest) -> web.Response:
        name = request.path.rpartition("/")[2].removesuffix("()")
        if request.method != "GET" or "(" in name:
            return _refusal(501, "NotImplemented", f"{request.method} {request.path}")
        if name not in tables:
            return _refusal(404, "TableNotFound", "The table specified does not exist.")
        try:
            body, following = tables[name].page(Query.parse(request.query))
        except UnsupportedError as error:
            return _refusal(501, "NotImplemented", str(error))
        headers = {"Content-Type": "application/json;odata=minimalmetadata", "x-ms-version": "2019-02-02"}
        if following is not None:
            key = tables[name].key(following)
            headers |= {"x-ms-continuation-NextPartitionKey": str(following), "x-ms-continuation-NextRowKey": key.row}
        return web.Response(body=body, headers=headers)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started it is gone
    await runner.cleanup()


def _refusal(status: int, code: str, text: str) -> web.Response:
    content = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": text}}}
    return web.json_response(content, status=status, headers={"x-ms-error-code": code}, content_type="application/json")


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
