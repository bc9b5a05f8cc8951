"""Which application is meant: by its resource ID in any casing, or by a part of its name that no other one has.

A full ID is taken as it is, without a look at the tables: an application whose row is missing can be meant, too.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from console import ConsoleError
from console.output import printable
from webhook.notification import ApplicationId

if TYPE_CHECKING:
    from webhook.tables import Tables

SHOWN = 10
"""How many of those that could be meant are named."""

_FETCHED = ("PartitionKey", "RowKey", "applicationId")


class FindError(ConsoleError):
    """No application is meant, or more than one could be."""


async def find(tables: "Tables", text: str) -> ApplicationId:
    """Find the application that somebody names.

    Args:
        text: its resource ID, or a part of its name; of two names that have it, the one that is all of it counts.

    Raises:
        FindError: there is none, or more than one; the text names the first of them.
        StoreError: the rows cannot be read.
    """
    wanted = text.strip()
    with suppress(ValueError):
        return ApplicationId.parse(wanted.rstrip("/"))
    if not wanted or "/" in wanted:
        raise FindError(
            f"{text!r} is neither a part of a name nor the resource ID of a managed application: /subscriptions/<ID>"
            "/resourceGroups/<group>/providers/Microsoft.Solutions/applications/<name>"
        )
    exact, partly = _Found(), _Found()
    async for row in tables.rows(columns=_FETCHED):
        found = identity(row.entity)
        name = found.name.lower() if found else ""
        if found and wanted.lower() in name:
            (exact if name == wanted.lower() else partly).add(found)
    chosen = exact if exact.count else partly
    if chosen.count == 1:
        return chosen.first[0]
    if not chosen.count:
        raise FindError(f"no application has a name with {wanted!r} in it: `managedapps list` shows all")
    names = "".join(f"\n  {printable(each.text)}" for each in chosen.first)
    more = f"\n  and {chosen.count - SHOWN:,} more" if chosen.count > SHOWN else ""
    having = f"are named {wanted!r}" if chosen is exact else f"have {wanted!r} in their names"
    raise FindError(f"{chosen.count:,} applications {having}. Give the ID of one:{names}{more}")


def identity(entity: Mapping[str, Any]) -> ApplicationId | None:
    """Give the application whose row it is: by its keys, and spelt as in the row where that is the same one."""
    keys = (entity["PartitionKey"], entity["RowKey"])
    with suppress(ValueError):
        spelt = ApplicationId.parse(entity.get("applicationId"))
        if (spelt.partition_key, spelt.row_key) == keys:
            return spelt
    return of_keys(*keys)


def of_keys(partition_key: str, row_key: str) -> ApplicationId | None:
    """Give the application whose row has these keys; None if they are no application's."""
    group, _, name = row_key.partition("|")
    text = f"/subscriptions/{partition_key}/resourceGroups/{group}/providers/Microsoft.Solutions/applications/{name}"
    with suppress(ValueError):
        found = ApplicationId.parse(text)
        if (found.partition_key, found.row_key) == (partition_key, row_key):
            return found
    return None


def of_inbox_key(key: str) -> ApplicationId | None:
    """Give the application whose notifications have this PartitionKey; None if it is no application's."""
    partition_key, _, row_key = key.partition("|")
    return of_keys(partition_key, row_key)


class _Found:
    """Applications that were found: all counted, the first of them kept."""

    def __init__(self) -> None:
        self.count, self.first = 0, list[ApplicationId]()

    def add(self, found: ApplicationId) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(found)
