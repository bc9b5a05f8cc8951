"""What the tests share: a real Azurite for the session, and an empty storage account for each test."""

from collections.abc import Iterator

import pytest
from azure.data.tables import TableServiceClient

from tools.azurite import Azurite, missing
from webhook.settings import Storage


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Run Azurite's table service on a free port for the whole session, in memory."""
    if reason := missing():
        pytest.skip(reason)
    with Azurite() as running:
        yield running


@pytest.fixture
def storage(azurite: Azurite) -> Storage:
    """Give the connection of an account that has no tables."""
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        for table in list(service.list_tables()):
            service.delete_table(table.name)
    return Storage("STATE_STORAGE", azurite.connection_string)
