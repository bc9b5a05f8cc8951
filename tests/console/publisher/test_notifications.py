"""Entries of the inbox that somebody broke: said, and in nobody's way."""

from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from tests.console.conftest import Run
from tests.console.publisher.conftest import Filled
from webhook.tables import INBOX


@pytest.fixture
def broken(own: Filled) -> Filled:
    """Give an account in which two entries of one application are not what the app wrote."""
    life = max(own.population, key=lambda each: len(each.events))
    with TableServiceClient.from_connection_string(own.connection_string) as service:
        table = service.get_table_client(INBOX)
        first, *_ = table.query_entities("PartitionKey eq @key", parameters={"key": life.key})
        table.update_entity({**first, "eventType": "POST"}, mode=UpdateMode.REPLACE)
        table.create_entity({"PartitionKey": life.key, "RowKey": "note", "text": "look into this"})
    return own


@pytest.mark.parametrize("command", [["summary", "--since", "2025-01-01"], ["report"], ["show"]], ids=" ".join)
def test_what_is_broken_is_counted_and_the_rest_is_shown(broken: Filled, managedapps: Run, command: list[str]) -> None:
    """One bad entry must not hide a thousand good ones, least of all at 3 a.m."""
    life = max(broken.population, key=lambda each: len(each.events))
    done = managedapps(command, [life.truth.application_id] if command == ["show"] else [])

    assert done.status == 0
    assert "Warning: 2 entries of the inbox are not as this app wrote them, and are left out. The first is " in done.err
    assert life.key in done.err
    if command == ["show"]:
        assert done.out.split("Life cycle\n")[1].count("\n") == len(life.events) - 1
    if command == ["report"]:
        page = Path("report.html").read_text("utf-8")
        assert all(each.truth.application_id.rpartition("/")[2] in page for each in broken.population)
