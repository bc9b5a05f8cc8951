"""From what a person types to the application that is meant: its resource ID, in any casing, or a part of its name."""

from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from console import ConsoleError
from console.output import printable
from webhook.notification import ApplicationId

if TYPE_CHECKING:
    from webhook.tables import Tables

_SHOWN = 10


class NotOneError(ConsoleError):
    """It is the name of no application, or of several."""


async def find(tables: "Tables", text: str) -> ApplicationId:
    """Find the application that is meant; an exact name goes before a part of one. Raises NotOneError."""
    wanted = text.strip()
    try:
        return ApplicationId.parse(wanted)
    except PydanticCustomError:
        pass
    exact, parts = [], []
    async for row in tables.rows(columns=("PartitionKey", "RowKey", "applicationId")):
        try:
            candidate = ApplicationId.parse(row.entity.get("applicationId"))
        except PydanticCustomError:
            continue
        if wanted.lower() == candidate.name.lower():
            exact.append(candidate)
        elif wanted.lower() in candidate.name.lower():
            parts.append(candidate)
    found = exact or parts
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotOneError(f"no application's name has {text!r} in it: `managedapps list` shows them")
    names = ", ".join(printable(each.text) for each in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    raise NotOneError(f"{text!r} is in the names of {len(found):,} applications: {names}{more}. Give a resource ID")
