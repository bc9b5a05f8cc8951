"""`managedapps list`: everything that is true, nothing else, newest first, for people, pipes and programs."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from tests import events
from tests.console.conftest import Run
from tests.console.publisher.conftest import Filled, on_a_terminal
from webhook.settings import Storage
from webhook.tables import APPLICATIONS

ROOT = Path(__file__).parents[3]


def newest_first(filled: Filled) -> list[str]:
    """Give the names of the applications."""
    return [
        life.truth.application_id.rpartition("/")[2]
        for life in sorted(filled.population, key=lambda life: life.truth.event_time, reverse=True)
    ]


def test_every_application_is_a_line_newest_first(filled: Filled, managedapps: Run) -> None:
    """The first line is what happened last."""
    done = managedapps("list")
    heading, *lines = done.out.splitlines()

    assert (done.status, done.err) == (0, "")
    assert heading.split() == ["STATE", "AGE", "PLAN", "SUBSCRIPTION", "RESOURCE", "GROUP", "NAME", "ERROR"]
    assert [line[heading.index("NAME") : heading.index("ERROR")].strip() for line in lines] == newest_first(filled)


def test_a_pipe_gets_no_colours_and_nothing_cut(filled: Filled, managedapps: Run) -> None:
    """Whatever reads it sees whole subscription IDs, however narrow the terminal was."""
    out = managedapps("list").out

    assert "\x1b" not in out
    assert "…" not in out
    for life in filled.population:
        assert life.truth.application_id.split("/subscriptions/")[-1].split("/")[0].removeprefix("subscriptions") in out


def test_json_is_the_truth(filled: Filled, managedapps: Run) -> None:
    """Column by column, against what the simulator knows."""
    rows = {row["applicationId"]: row for row in json.loads(managedapps("list", "--json").out)}

    assert len(rows) == len(filled.population)
    for life in filled.population:
        row, truth = rows[life.truth.application_id], life.truth
        assert (row["eventType"], row["provisioningState"]) == (truth.event_type, truth.provisioning_state)
        assert (row["eventTime"], row["firstEventTime"]) == (truth.event_time, truth.first_event_time)
        plan = {name: row[f"plan{name.title()}"] for name in ("publisher", "product", "name", "version")}
        assert plan == (truth.plan or dict.fromkeys(plan))
        assert row["resourceUsageId"] == truth.resource_usage_id
        assert (row["errorCode"], row["errorMessage"]) == (truth.error_code, truth.error_message)
        assert (row["error"] or {}).get("code") == truth.error_code


def test_csv_holds_the_same(filled: Filled, managedapps: Run) -> None:
    """For a spreadsheet."""
    rows = list(csv.DictReader(io.StringIO(managedapps("list", "--csv").out)))
    objects = json.loads(managedapps("list", "--json").out)

    assert len(rows) == len(filled.population)
    for row, content in zip(rows, objects, strict=True):
        assert json.loads(row.pop("error") or "null") == content.pop("error")
        assert row == {name: value or "" for name, value in content.items()}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--state", "succeeded"], lambda row: row["provisioningState"] == "Succeeded"),
        (["--failed"], lambda row: row["provisioningState"] == "Failed"),
        (
            ["--failed", "--plan", "basic"],
            lambda row: row["provisioningState"] == "Failed" and row["planName"] == "basic",
        ),
        (["--since", "2025-01-20"], lambda row: row["eventTime"] >= "2025-01-20"),
        (["--since", "2025-01-20T10:00+02:00"], lambda row: row["eventTime"] >= "2025-01-20T08"),
        (["--stuck", "2h"], lambda row: row["provisioningState"] in ("Accepted", "Deleting")),
        (["--stuck", "1000w"], lambda _: False),
        (["--stuck", "9999999999w"], lambda _: False),
        (["--since", "36526d"], lambda _: True),
        (["--since", "99999999999d"], lambda _: True),
        (["--since", "0001-01-01"], lambda _: True),
        (["--since", "0001-01-01T00:00+14:00"], lambda _: True),
    ],
)
def test_filters_leave_what_they_say(arguments: Sequence[str], rule: object, managedapps: Run) -> None:
    """Every one of them, and two together."""
    everything = json.loads(managedapps("list", "--json").out)
    left = json.loads(managedapps("list", "--json", arguments).out)

    assert callable(rule)
    assert left == [row for row in everything if rule(row)]


def test_only_the_newest_are_given_where_that_is_asked_for(filled: Filled, managedapps: Run) -> None:
    """A glance at what happened last."""
    names = [row["applicationName"] for row in json.loads(managedapps("list", "--json", "--limit", "3").out)]

    assert names == newest_first(filled)[:3]


@pytest.mark.usefixtures("filled")
def test_scripts_learn_from_the_exit_status_whether_there_is_any(managedapps: Run) -> None:
    """Without reading the list."""
    assert managedapps("list", "--failed", "--exit-code").status == 1
    assert managedapps("list", "--plan", "nosuchplan", "--exit-code").status == 0
    assert managedapps("list", "--failed").status == 0


@pytest.mark.usefixtures("filled")
def test_nothing_to_list_is_said_and_is_an_empty_list_for_programs(managedapps: Run) -> None:
    """Silence could be a fault."""
    nothing = ("list", "--plan", "nosuchplan")

    assert managedapps(nothing) == (0, "", "No application is like that.\n")
    assert managedapps(nothing, "--json") == (0, "[]\n", "")
    assert managedapps(nothing, "--csv").out.count("\n") == 1


def test_an_account_without_tables_is_not_an_error(
    storage: Storage, elsewhere: pytest.MonkeyPatch, managedapps: Run
) -> None:
    """On the first day."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")

    assert managedapps("list").err.startswith("No application yet: ")
    assert managedapps("list", "--json").out == "[]\n"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "--csv"], "exclude each other"),
        (["--stuck", "soon"], "'soon' is not a duration such as 30m, 2h, 7d or 1h30m"),
        (["--since", "yesterday"], "neither a date such as 2026-03-01"),
        (["--state", "Broken"], "'Broken' is none of Accepted, Succeeded, Failed, Deleting, Deleted"),
        (["--limit", "0"], "Input should be greater than or equal to 1"),
        (["--connection", "A=b", "--account", "c"], "exclude each other"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(arguments: Sequence[str], message: str, managedapps: Run) -> None:
    """With a word on what would be right."""
    done = managedapps("list", arguments)

    assert (done.status, done.out) == (2, "")
    assert message in " ".join(done.err.split())


@pytest.mark.usefixtures("filled")
def test_a_terminal_gets_colours_and_lines_that_fit(filled: Filled) -> None:
    """And is told how many there are of each kind."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    wide, narrow = on_a_terminal(400, "list"), on_a_terminal(80, "list")

    assert "\x1b[32mSucceeded" in wide
    assert "\x1b[1;31mFailed" in wide
    assert "…" not in wide
    assert "…" in narrow
    assert f"{len(filled.population)} applications: " in narrow
    for line in narrow.splitlines():
        visible = "".join(part.partition("m")[2] if number else part for number, part in enumerate(line.split("\x1b[")))
        assert len(visible) <= 80


def test_what_customers_call_things_does_not_command_the_terminal(
    storage: Storage, elsewhere: pytest.MonkeyPatch, managedapps: Run
) -> None:
    """Texts come from outside: no escape, no line break, no carriage return gets through; JSON has them as they are."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    with TableServiceClient.from_connection_string(storage.connection_string or "") as service:
        service.create_table(APPLICATIONS).create_entity(
            {
                "PartitionKey": "s",
                "RowKey": "g|n",
                "provisioningState": "Failed",
                "errorCode": "\x1b[2J\rgone\nnew line\t!",
                "order": "2026-03-01T10:00:00.0000000Z|1|00000000",
                "applicationId": events.APPLICATION_ID,
            }
        )
    out = managedapps("list").out

    assert out.count("\n") == 2
    assert "�[2J�gone new line !" in out
    assert not set(out) & {"\x1b", "\r", "\t"}
    assert json.loads(managedapps("list", "--json").out)[0]["errorCode"] == "\x1b[2J\rgone\nnew line\t!"


def test_a_row_that_somebody_broke_is_listed_with_what_there_is(
    storage: Storage, elsewhere: pytest.MonkeyPatch, managedapps: Run
) -> None:
    """One bad row must not hide the others, least of all at 3 a.m.; where it lacks its names, its keys have them."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    with TableServiceClient.from_connection_string(storage.connection_string or "") as service:
        table = service.create_table(APPLICATIONS)
        table.create_entity({"PartitionKey": "s", "RowKey": "g|bad", "applicationName": 5, "order": "zzz"})
        table.create_entity(
            {"PartitionKey": "s", "RowKey": "g|old", "order": "2026-03-01T10:00:00.0000000Z|0|00000000"}
        )
    lines = [line.split() for line in managedapps("list").out.splitlines()[1:]]

    assert [line[3:] for line in lines] == [["s", "g", "old", "-"], ["s", "g", "5", "-"]]  # "zzz" is not the newest


def test_a_reader_that_goes_away_is_no_failure_worth_a_traceback(filled: Filled) -> None:
    """`managedapps list | head -1`."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    assert filled.population
    with subprocess.Popen(
        [sys.executable, "-m", "console", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) in (0, 1)  # 0 if all of it fitted into the pipe
