"""The least that a reader of a table can do: the SDK's query, and nothing with what it gives. To be measured against.

    python -m bench.query TABLE ...

Of the account that STATE_STORAGE names. Prints how many entities there were.
"""

import asyncio
import os
import sys

from azure.data.tables.aio import TableServiceClient


async def query(tables: list[str]) -> int:
    """Go through the tables, and count."""
    number = 0
    async with TableServiceClient.from_connection_string(os.environ["STATE_STORAGE"]) as service:
        for name in tables:
            async for _ in service.get_table_client(name).query_entities(""):
                number += 1
    return number


if __name__ == "__main__":
    print(asyncio.run(query(sys.argv[1:])))
