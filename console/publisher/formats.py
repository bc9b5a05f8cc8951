"""The formats of an export: records written as lines of JSON, as CSV or as Parquet, a batch at a time.

Values stay what they are: what a spreadsheet would take for a formula is not changed, only counted. Nothing grows with
the number of records but Parquet's list of its row groups.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from console import ConsoleError
from console.publisher.columns import Layout, Record
from console.publisher.row import time_of

ROW_GROUP = 16 * 1024 * 1024
"""Bytes, in memory, of a row group of Parquet: what is read and compressed as one."""

_FORMULA = tuple("=+-@\t\r")
"""What a spreadsheet takes for the beginning of a formula: https://owasp.org/www-community/attacks/CSV_Injection."""

_UNWRITABLE = "backslashreplace"
"""Half a surrogate pair has no UTF-8. Azure's texts are UTF-16 and may hold one; as JSON, it is written just so."""


class Format(StrEnum):
    """How records are written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


ENDINGS = {".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".csv": Format.CSV, ".parquet": Format.PARQUET}


class MissingPackageError(ConsoleError):
    """What a format needs is not installed."""


class Writer:
    """Writes records to a stream, which it does not close; see `writing`.

    Attributes:
        formulas: values that a spreadsheet would take for formulas, so far; counted where one may open the file.
    """

    formulas = 0

    def write(self, records: Sequence[Record]) -> None:
        """Write some records."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write what is left, after all records."""

    def abandon(self) -> None:
        """Leave it as it is: what was written is not wanted, or the stream takes no more."""


@contextmanager
def writing(format_: Format, stream: BinaryIO, layout: Layout) -> Iterator[Writer]:
    """Give the writer of a format, and finish when the block ends well.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    writer: Writer
    match format_:
        case Format.JSONL:
            writer = _Jsonl(stream)
        case Format.CSV:
            writer = _Csv(stream, layout)
        case Format.PARQUET:
            writer = _Parquet(stream, layout)
    try:
        yield writer
        writer.finish()
    except BaseException:
        writer.abandon()
        raise


def format_of(file: Path) -> Format | None:
    """Tell the format from the ending of a file's name."""
    return ENDINGS.get(file.suffix.lower())


class _Jsonl(Writer):
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def write(self, records: Sequence[Record]) -> None:
        self._stream.write("".join(f"{self._encode(record)}\n" for record in records).encode("utf-8", _UNWRITABLE))


class _Csv(Writer):
    def __init__(self, stream: BinaryIO, layout: Layout) -> None:
        self._stream, self._lines = stream, io.StringIO(newline="")
        # RFC 4180; with another end of lines, Python 3.11 leaves a carriage return in a value without quotes
        self._rows = csv.writer(self._lines, lineterminator="\r\n")
        self._rows.writerow(layout.names)
        self._flush()

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            self._rows.writerow(record.values())
            self.formulas += sum(value is not None and value.startswith(_FORMULA) for value in record.values())
        self._flush()

    def _flush(self) -> None:
        self._stream.write(self._lines.getvalue().encode("utf-8", _UNWRITABLE))
        self._lines.seek(0)
        self._lines.truncate()


class _Parquet(Writer):
    def __init__(self, stream: BinaryIO, layout: Layout) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - large, and an extra of its own
            from pyarrow import parquet  # noqa: PLC0415 - the same
        except ImportError:
            raise MissingPackageError("Parquet needs pyarrow: pip install pyarrow") from None
        pa.set_memory_pool(pa.system_memory_pool())  # gives back what it does not need: a fifth less at the peak
        self._layout, self._arrow = layout, pa
        types = {name: pa.timestamp("us", "UTC") if name in layout.times else pa.string() for name in layout.names}
        self._schema = pa.schema(types.items())
        self._file = parquet.ParquetWriter(stream, self._schema)
        self._batches: list[Any] = []

    def write(self, records: Sequence[Record]) -> None:
        arrays = [self._array(name, [record[name] for record in records]) for name in self._layout.names]
        self._batches.append(self._arrow.record_batch(arrays, schema=self._schema))
        if sum(batch.nbytes for batch in self._batches) >= ROW_GROUP:
            self._write_group()

    def finish(self) -> None:
        if self._batches:
            self._write_group()
        self._file.close()

    def abandon(self) -> None:
        self._file.is_open = False  # else it ends the file when it is collected, and says that it could not

    def _array(self, name: str, texts: Sequence[str | None]) -> Any:  # noqa: ANN401 - pyarrow has no types
        if name in self._layout.times:
            times = [None if text is None else time_of(text) for text in texts]
            return self._arrow.array(times, self._schema.field(name).type)
        try:
            return self._arrow.array(texts, self._arrow.string())
        except UnicodeEncodeError:
            writable = [text and text.encode("utf-8", _UNWRITABLE).decode() for text in texts]
            return self._arrow.array(writable, self._arrow.string())

    def _write_group(self) -> None:
        self._file.write_table(self._arrow.Table.from_batches(self._batches))
        self._batches.clear()
