"""What an export holds: its columns, and a row of a table as a record of them.

Pure. The columns are those of the tables, by their names, and always the same, whatever the rows hold: a row that
somebody broke becomes a record with what there is. Times come from the order keys, which are exact to 100 ns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.publisher.row import COLUMNS, text_of, utc_text
from webhook.entities import BODY_COLUMNS, INBOX_FACTS
from webhook.notification import is_order_key, time_of

Record = dict[str, str | None]
"""Texts by the names of the columns, all of them, in their order; None where there is nothing."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is exported: its columns.

    Attributes:
        names: all of them, in their order.
        orders: of those that are event times, the column whose order key they are taken from.
        indispensable: those that every row has which this app wrote.
        times: those that are times: ISO 8601, in UTC.
        fetched: the table's columns that are needed.
    """

    names: tuple[str, ...]
    orders: Mapping[str, str]
    indispensable: tuple[str, ...]
    times: tuple[str, ...]
    fetched: tuple[str, ...]

    def record(self, entity: Mapping[str, Any]) -> Record:
        """Give the record of a row."""
        record = {name: text_of(entity, name) for name in self.names}
        for name, order in self.orders.items():
            key = record[order]
            record[name] = time_of(key) if key is not None and is_order_key(key) else None
        if "receivedAt" in record and isinstance(received := entity.get("receivedAt"), datetime):
            record["receivedAt"] = utc_text(received)
        if "body1" in entity:
            record["body"] = "".join(text_of(entity, name) or "" for name in BODY_COLUMNS)
        return record

    def lacking(self, record: Record) -> bool:
        """Tell whether a record lacks what every row has which this app wrote."""
        return not all(map(record.get, self.indispensable))


_TIMES = {"order": "eventTime", "firstOrder": "firstEventTime"}
_NAMES = tuple(name for column in COLUMNS for name in (_TIMES.get(column), column) if name)

APPLICATIONS = Layout(
    _NAMES,
    {time: order for order, time in _TIMES.items()},
    _NAMES[: _NAMES.index("firstOrder") + 1],
    tuple(_TIMES.values()),
    COLUMNS,
)
_FACTS = ("PartitionKey", "RowKey", "eventTime", "receivedAt", "eventType", "provisioningState", "body")
NOTIFICATIONS = Layout(
    _FACTS,
    {"eventTime": "RowKey"},
    _FACTS,
    ("eventTime", "receivedAt"),
    (*INBOX_FACTS, *BODY_COLUMNS),
)
