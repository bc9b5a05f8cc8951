"""`managedapps export`: what is in the tables, in a file or a pipe, and nothing half done."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from azure.data.tables import TableServiceClient

from bench.table_service import TableService, table_service
from console.marketplace.lives import Life
from tests.console.conftest import Done, Run
from tests.console.publisher.conftest import Filled, needs_pyarrow, struck
from tests.relay import Fault
from tests.tools.conftest import needs_signals
from webhook.notification import time_of
from webhook.settings import Storage
from webhook.tables import APPLICATIONS, INBOX

ROOT = Path(__file__).parents[3]
FORMATS = ["jsonl", "csv", pytest.param("parquet", marks=needs_pyarrow)]

Records = list[dict[str, Any]]


def read(file: Path) -> Records:
    """Read an export back, with what others have for that; what is empty is None."""
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    if file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as lines:
            return [{name: value or None for name, value in row.items()} for row in csv.DictReader(lines, strict=True)]
    from pyarrow import parquet  # noqa: PLC0415 - an optional extra

    rows: Records = parquet.read_table(file).to_pylist()
    return rows


def exported(managedapps: Run, what: str, file: Path) -> Records:
    """Export to a file, and read it."""
    done = managedapps("export", what, "-o", str(file))
    records = read(file)
    assert done == Done(0, "", f"{len(records):,} {what} in {file}.\n")
    return records


def same(value: object, text: str | None) -> bool:
    """Tell whether a value is this text, or this time as exactly as Parquet holds it."""
    return f"{value:%Y-%m-%dT%H:%M:%S.%f}" == (text or "")[:26] if isinstance(value, datetime) else value == text


def stored(filled: Filled, table: str) -> list[Mapping[str, Any]]:
    """Read a table with the SDK alone."""
    with TableServiceClient.from_connection_string(filled.connection_string) as service:
        return list(service.get_table_client(table).list_entities())


# what is in it


@pytest.mark.parametrize("format_", FORMATS)
def test_applications_are_the_truth(filled: Filled, managedapps: Run, tmp_path: Path, format_: str) -> None:
    """Every customer's application once, as it really stands."""
    records = exported(managedapps, "applications", tmp_path / f"a.{format_}")
    by_key = {f"{each['PartitionKey']}|{each['RowKey']}": each for each in records}

    assert len(records) == len(by_key) == len(filled.population)
    for life in filled.population:
        _is_true(by_key[life.key], life)


def _is_true(record: Mapping[str, Any], life: Life) -> None:
    truth, plan = life.truth, life.truth.plan or {}
    expected = {
        "applicationId": truth.application_id,
        "provisioningState": truth.provisioning_state,
        "eventType": truth.event_type,
        "eventTime": truth.event_time,
        "firstEventTime": truth.first_event_time,
        "planPublisher": plan.get("publisher"),
        "planProduct": plan.get("product"),
        "planName": plan.get("name"),
        "planVersion": plan.get("version"),
        "resourceUsageId": truth.resource_usage_id,
        "applicationDefinitionId": truth.application_definition_id,
        "errorCode": truth.error_code,
        "errorMessage": truth.error_message,
    }
    assert [name for name, text in expected.items() if not same(record[name], text)] == []
    assert time_of(record["order"]) == truth.event_time
    assert time_of(record["firstOrder"]) == truth.first_event_time


@pytest.mark.parametrize("format_", FORMATS)
def test_notifications_are_the_whole_inbox(filled: Filled, managedapps: Run, tmp_path: Path, format_: str) -> None:
    """Every event that happened, once and as it was sent, application by application in the order of the events."""
    records = exported(managedapps, "notifications", tmp_path / f"n.{format_}")
    lives = sorted(filled.population, key=lambda life: life.key)
    events = [(life.key, event) for life in lives for event in life.events]

    assert [(each["PartitionKey"], each["body"]) for each in records] == [(key, e.body.decode()) for key, e in events]
    for record, (_, event) in zip(records, events, strict=True):
        assert record["RowKey"].startswith(f"{event.time}|{event.place}|")
        assert same(record["eventTime"], event.time)
        assert (record["eventType"], record["provisioningState"]) == (event.event_type, event.provisioning_state)


@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_exported_is_what_is_stored(filled: Filled, managedapps: Run, tmp_path: Path, format_: str) -> None:
    """Column by column, against what the SDK gives for the same tables, in the tables' order."""
    for what, table in (("applications", APPLICATIONS), ("notifications", INBOX)):
        records = exported(managedapps, what, tmp_path / f"{what}.{format_}")
        rows = stored(filled, table)

        assert len(records) == len(rows)
        for record, row in zip(records, rows, strict=True):
            for name in record.keys() & row.keys():
                text = getattr(row[name], "tables_service_value", row[name])
                assert same(record[name], text), name
            derived = {"eventTime"} if table == INBOX else set()
            assert {name for name, value in record.items() if value is not None} - row.keys() <= derived


def test_without_a_file_it_is_lines_of_json_on_standard_output(filled: Filled, managedapps: Run) -> None:
    """For a pipe: nothing but records, and nothing beside them."""
    done = managedapps("export")

    assert (done.status, done.err) == (0, "")
    assert len([json.loads(line) for line in done.out.splitlines()]) == len(filled.population)
    assert managedapps("export", "applications", "--format", "jsonl", "-o", "-") == done


def test_csv_to_a_pipe(filled: Filled, managedapps: Run) -> None:
    """The format is said, as there is no name that says it."""
    done = managedapps("export", "--format", "csv")

    assert done.status == 0
    assert len(list(csv.DictReader(io.StringIO(done.out, newline="")))) == len(filled.population)


@needs_pyarrow
def test_parquet_to_a_pipe(filled: Filled, tmp_path: Path) -> None:
    """To storage, say, without a file in between."""
    from pyarrow import parquet  # noqa: PLC0415 - an optional extra

    file = tmp_path / "piped.parquet"
    file.write_bytes(program("export", "--format", "parquet").stdout)

    assert parquet.read_table(file).num_rows == len(filled.population)


def test_an_empty_account_gives_an_empty_table(
    elsewhere: pytest.MonkeyPatch, storage: Storage, managedapps: Run, tmp_path: Path
) -> None:
    """The tables are not there before the first notification, and a scheduled export must not fail for that."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")

    assert exported(managedapps, "notifications", tmp_path / "n.csv") == []
    assert managedapps("export") == Done(0, "", "")


@pytest.mark.parametrize("format_", FORMATS)
def test_rows_that_somebody_broke_are_exported_with_what_there_is(
    own: Filled, managedapps: Run, tmp_path: Path, format_: str
) -> None:
    """They do not stop the others, and are not passed over in silence."""
    with TableServiceClient.from_connection_string(own.connection_string) as service:
        rows, entries = service.get_table_client(APPLICATIONS), service.get_table_client(INBOX)
        rows.create_entity({"PartitionKey": "!", "RowKey": "\u202egnp.tnemyolped", "order": "soon", "planName": 7})
        entries.create_entity({"PartitionKey": "!", "RowKey": "soon", "body": "{}", "receivedAt": "lately"})
    for what, number in (("applications", len(own.population) + 1), ("notifications", len(stored(own, INBOX)))):
        file = tmp_path / f"{what}.{format_}"
        done = managedapps("export", what, "-o", str(file))
        broken, *others = read(file)

        assert done.status == 0
        assert "what every row has is missing in 1 of them; they are exported with what there is" in done.err
        assert ("The first is !, �gnp.tnemyolped. `managedapps rebuild`" in done.err) == (what == "applications")
        assert "\u202e" not in done.err
        assert len(others) == number - 1
        assert all(each["eventTime"] for each in others)
        assert (broken["PartitionKey"], broken["eventTime"]) == ("!", None)
        if what == "applications":
            assert (broken["order"], broken["planName"], broken["applicationId"]) == ("soon", "7", None)
        else:
            assert (broken["RowKey"], broken["body"]) == ("soon", "{}")
            assert broken["receivedAt"] == (None if format_ == "parquet" else "lately")


def test_a_name_like_a_formula_is_true_in_the_file_and_warned_of(own: Filled, managedapps: Run, tmp_path: Path) -> None:
    """A customer chooses it; who opens the file in a spreadsheet should know, and a program should get the name."""
    with TableServiceClient.from_connection_string(own.connection_string) as service:
        rows = service.get_table_client(APPLICATIONS)
        row = next(rows.list_entities())
        rows.update_entity({**row, "applicationName": "=cmd|' /C calc'!A1"})
    done = managedapps("export", "-o", str(tmp_path / "a.csv"))

    assert "Warning: values that begin as formulas do: 1. They are as they were stored" in done.err
    assert read(tmp_path / "a.csv")[0]["applicationName"] == "=cmd|' /C calc'!A1"
    assert "Warning" not in managedapps("export", "-o", str(tmp_path / "a.jsonl")).err


# what can be wrong


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("-o", "a.xlsx"), 2, "a.xlsx ends in none of .jsonl, .ndjson, .csv, .parquet: give --format, or name it so"),
        (("-o", "nowhere/a.csv"), 1, "cannot write nowhere/a.csv: No such file or directory"),
        (("everything",), 2, "'everything' is not one of 'applications', 'notifications'"),
        (("--format", "xlsx"), 2, "'xlsx' is not one of 'jsonl', 'csv', 'parquet'"),
        (("--account", "a b", "-o", "a.csv"), 1, "the tables cannot be found"),
    ],
)
def test_what_cannot_be_meant_is_said_in_a_line(
    filled: Filled, managedapps: Run, arguments: tuple[str, ...], status: int, said: str
) -> None:
    """And no file is made."""
    del filled
    done = managedapps("export", *arguments)

    assert (done.status, done.out) == (status, "")
    assert said in done.err
    assert list(Path().iterdir()) == []


def test_the_format_may_differ_from_the_ending(filled: Filled, managedapps: Run) -> None:
    """Who says it means it."""
    del filled

    assert managedapps("export", "--format", "csv", "-o", "applications.txt").status == 0
    assert Path("applications.txt").read_text("utf-8").startswith("PartitionKey,RowKey,")


def test_without_pyarrow_a_line_says_what_to_install(
    filled: Filled, managedapps: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra of its own; the other formats do without."""
    del filled
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert managedapps("export", "-o", "a.parquet") == Done(
        1, "", "managedapps: Parquet needs pyarrow: pip install pyarrow\n"
    )
    assert list(Path().iterdir()) == []
    assert managedapps("export", "-o", "a.csv").status == 0


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")
def test_parquet_is_not_for_a_terminal(filled: Filled) -> None:
    """It would leave the terminal unusable."""
    import pty  # noqa: PLC0415 - not there on Windows

    del filled
    ours, theirs = pty.openpty()
    try:
        done = program("export", "--format", "parquet", stdout=theirs)
    finally:
        os.close(theirs)
        os.close(ours)

    assert (done.returncode, done.stderr) == (
        2,
        b"managedapps: Parquet is not for a terminal: give -o and a file's name\n",
    )


def program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:  # noqa: ANN401 - of `run`
    """Run `managedapps` as a process of its own."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    return subprocess.run(
        [sys.executable, "-m", "console", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=60,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


# what is half done


@pytest.mark.parametrize("format_", FORMATS)
def test_whoever_reads_only_the_beginning_ends_it_quietly(filled: Filled, format_: str) -> None:
    """As with `| head -1`: what is left is not wanted, and that is no error to talk about."""
    del filled
    ours, theirs = os.pipe()
    os.close(ours)  # a reader that is gone already
    try:
        done = program("export", "notifications", "--format", format_, stdout=theirs)
    finally:
        os.close(theirs)

    assert (done.returncode, done.stderr) == (1, b"")


class End(NamedTuple):
    """How an export ends in the middle: what happens to the second request for a page, the exit status, and a line."""

    fault: Fault
    status: int
    said: str


ENDS = {
    "Ctrl-C": End(Fault.HANG, 130, r"Stopped by Ctrl-C after 1,000 applications: FORMER\.\n"),
    "an error": End(
        Fault.FORBIDDEN, 1, r"managedapps: listing the rows in ManagedApplications failed: storage answered 403 .*\n"
    ),
}


@pytest.fixture(scope="module")
def many() -> Iterator[TableService]:
    """Run a table service with more applications than there are in a page."""
    with table_service(1_200) as service:
        yield service


@needs_signals
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("before", [None, "old"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_what_ends_in_the_middle_leaves_what_was_there(
    many: TableService, tmp_path: Path, format_: str, before: str | None, end: End
) -> None:
    """The file of yesterday or none, never half a file; and a line instead of a traceback."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    file = tmp_path / f"a.{format_}"
    if before:
        file.write_text(before)

    status, err = struck(many.port, end.fault, "export", "-o", str(file))

    assert status == end.status
    former = f"{file} is as it was before" if before else f"there is no {file}, as before"
    assert re.fullmatch(end.said.replace("FORMER", re.escape(former)), err)
    assert [each.read_text() for each in tmp_path.iterdir()] == ([before] if before else [])


@needs_signals
def test_what_was_printed_before_ctrl_c_is_said_not_to_be_all(many: TableService) -> None:
    """Whoever reads it would not notice."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    status, err = struck(many.port, Fault.HANG, "export")

    assert (status, err) == (130, "Stopped by Ctrl-C after 1,000 applications: what was printed is not all.\n")


# some of it


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("what", ["applications", "notifications"])
def test_only_what_happened_since_is_exported(managedapps: Run, tmp_path: Path, what: str) -> None:
    """The next export of a large account need not begin at the beginning."""
    file = tmp_path / "all.jsonl"
    everything = exported(managedapps, what, file)
    managedapps("export", what, "-o", str(file), "--since", "2025-01-16")

    assert read(file) == [record for record in everything if record["eventTime"] >= "2025-01-16"]


@pytest.mark.parametrize("what", ["applications", "notifications"])
def test_only_a_subscription_is_exported(filled: Filled, managedapps: Run, tmp_path: Path, what: str) -> None:
    """In any casing, and none whose ID begins in the same way."""
    subscription = filled.population[5].key.partition("|")[0]
    file = tmp_path / "all.jsonl"
    everything = exported(managedapps, what, file)
    managedapps("export", what, "-o", str(file), "--subscription", subscription.upper())

    mine = [record for record in everything if record["PartitionKey"].split("|")[0] == subscription]
    assert mine
    assert read(file) == mine
    managedapps("export", what, "-o", str(file), "--subscription", subscription[:-1])
    assert read(file) == []
