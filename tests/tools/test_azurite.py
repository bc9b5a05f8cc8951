"""Azurite's table service, started and stopped: nothing written is lost, nothing is left running."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from tests.tools.conftest import gone, listens, needs_signals, silent
from tools.azurite import ROOT, Azurite, connection_string, missing
from tools.child import Child
from tools.problem import Problem

needs_azurite = pytest.mark.skipif(missing() is not None, reason=missing() or "")


def write(azurite: Azurite, row: str) -> None:
    """Insert a row into a table, which is created where it is absent."""
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        table = service.create_table_if_not_exists("kept")
        table.create_entity({"PartitionKey": "p", "RowKey": row})


def rows(azurite: Azurite) -> list[str]:
    """Give the keys of all rows."""
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        return [entity["RowKey"] for entity in service.get_table_client("kept").list_entities()]


@needs_azurite
def test_what_was_written_a_moment_ago_is_there_after_a_restart(tmp_path: Path) -> None:
    """Azurite saves every five seconds; stopped by SIGTERM as it comes, its table service loses what came since."""
    azurite = Azurite(folder=tmp_path / "data")
    with azurite:
        port = azurite.port
        write(azurite, "last")
    with azurite:
        assert azurite.port == port
        assert rows(azurite) == ["last"]


@needs_azurite
@needs_signals
def test_a_signal_alone_saves_too(tmp_path: Path) -> None:
    """So does SIGTERM from anybody else, while whoever started Azurite lives on."""
    with Azurite(folder=tmp_path) as azurite:
        write(azurite, "last")
        assert azurite.child
        os.kill(azurite.child.pid, signal.SIGTERM)
        assert azurite.child.until_ended() == 0
    with azurite:
        assert rows(azurite) == ["last"]


@needs_azurite
def test_data_in_memory_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's storage begins empty, and writes nothing to the disk."""
    monkeypatch.chdir(tmp_path)
    with Azurite() as azurite:
        write(azurite, "gone")

    assert silent(azurite.port)
    assert list(tmp_path.iterdir()) == []


@needs_azurite
def test_a_port_in_use_is_a_problem_that_shows_why() -> None:
    """Whoever starts it sees Azurite's own reason, at once."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(Problem, match="EADDRINUSE"):
        Azurite(port=server.getsockname()[1]).start()


@needs_azurite
@needs_signals
def test_it_ends_with_whoever_started_it() -> None:
    """A test run that is killed leaves no Azurite behind."""
    code = (
        "import time; from tools.azurite import Azurite; azurite = Azurite().start()\n"
        "print(azurite.child.pid, azurite.port, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, encoding="ascii") as process:
        assert process.stdout
        pid, port = map(int, process.stdout.readline().split())
        assert listens(port)
        process.kill()

    assert gone([pid])
    assert silent(port)


@needs_azurite
@needs_signals
@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3])
def test_it_can_be_stopped_while_it_starts(seconds: float) -> None:
    """A wait that is given up leaves nothing behind."""
    azurite = Azurite()
    with pytest.raises(Problem, match="did not start"):
        azurite.start(seconds=seconds)

    assert isinstance(azurite.child, Child)
    assert azurite.child.status is not None


def test_the_connection_string_spells_the_endpoint_out() -> None:
    """The Tables SDK takes `localhost` on another port than 10002 for Cosmos DB."""
    assert re.search(r";TableEndpoint=http://127\.0\.0\.1:12345/devstoreaccount1;$", connection_string(12345))
