"""That every part of the benchmark yields its figures, and the few of them that are the same on every machine."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import console, growth, latency, requests, start, suite, throughput
from bench.delay import distant
from bench.figures import Part, Spread, Table
from bench.progress import Progress
from bench.subject import Subject, azurite, create_tables, subject
from bench.table_service import table_service
from tests.tools.conftest import needs_runtime
from tools.__main__ import PARTS
from tools.azurite import Azurite, missing
from tools.problem import Problem
from tools.stopping import NEVER, Stopped, Stopping
from webhook.tables import APPLICATIONS

FEW = Progress(NEVER, share=0)
"""One round, after one to warm up."""


@pytest.fixture(scope="module")
def storage() -> Iterator[Azurite]:
    """Run an Azurite as the benchmark does."""
    if reason := missing():
        pytest.skip(reason)
    with azurite() as running:
        create_tables(running.connection_string)
        yield running


@pytest.fixture(scope="module")
def webhook(storage: Azurite) -> Iterator[Subject]:
    """Run the webhook in a worker."""
    with subject("webhook", storage.connection_string) as running:
        yield running


def figures(part: Part) -> Any:  # noqa: ANN401 - JSON
    """Give the figures as they are kept."""
    assert all(str(table) for table in part.tables)
    return json.loads(json.dumps(part.figures))


@needs_runtime
def test_a_warm_event_costs_two_requests(storage: Azurite) -> None:
    """The promise of the design: inbox and row, and nothing is read; counted by a relay, not by the app."""
    found = figures(requests.measure(FEW, storage))["requests"]

    assert found == {
        "blind_async": 1.0,
        "first": 2.0,
        "warm": 2.0,
        "cold": 3.0,
        "stale": 4.0,
        "duplicate": 2.0,
        "superseded": 2.0,
        "invalid": 1.0,
        "refused": 0.0,
    }


@needs_runtime
def test_latency_is_given_for_every_kind_of_event_at_every_distance(
    storage: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A figure that is missing is a claim that nobody checks."""
    monkeypatch.setattr(latency, "DISTANCES", (0, 20))
    found = figures(latency.measure(FEW, storage))["by_distance_ms"]

    assert found.keys() == {"0", "20"}
    assert found["20"].keys() == latency.KINDS.keys()
    assert found["20"]["upsert"]["median_ms"] >= 20
    assert found["20"]["cold"]["median_ms"] >= 40  # it reads first
    assert found["20"]["upsert"]["ratio"] == 1


@needs_runtime
def test_throughput_is_given_for_every_handler(storage: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events per second mean little without the CPU that they cost, and nothing without what they are compared with."""
    monkeypatch.setattr(throughput, "LIVES", {1: 1, 8: 8})
    found = figures(throughput.measure(FEW, storage))["by_in_flight"]

    assert found.keys() == {"1", "8"}
    for by_kind in found.values():
        assert by_kind.keys() == throughput.KINDS.keys()
        assert all(one["events_per_second"] > 0 and one["cpu_ms_per_event"] > 0 for one in by_kind.values())
        assert by_kind["blind_async"]["cpu_ratio"] == 1


@needs_runtime
def test_a_cold_start_is_given_with_its_memory(storage: Azurite) -> None:
    """What the packages cost is not the app's doing; what comes on top is."""
    found = figures(start.measure(FEW, storage))

    assert found["import"]["packages"]["ratio"] == 1
    assert found["import"]["webhook"]["median_ms"] > found["import"]["python"]["median_ms"]
    assert found["first_event"].keys() == start.HANDLERS.keys()
    assert all(10 < one["peak_memory_mib"] < 1000 for one in found["first_event"].values())


@needs_runtime
def test_growth_is_given_against_the_empty_table() -> None:
    """Many applications must not slow one down."""
    if reason := missing():
        pytest.skip(reason)
    found = figures(growth.measure(FEW, sizes=[150]))["by_applications"]

    assert found.keys() == {"0", "150"}
    assert found["150"].keys() == growth.KINDS.keys()
    assert found["0"]["first"]["ratio"] == 1


def test_the_console_is_given_against_the_sdks_query() -> None:
    """Seconds alone say nothing of another machine; and what runs must have read everything."""
    for package in ("typer", "rich", "pyarrow"):
        pytest.importorskip(package, reason=f"{package} is not installed: the console is an optional extra")
    found = figures(console.measure(FEW, sizes=[200]))["by_applications"]

    assert found.keys() == {"200"}
    for by_name in found.values():
        assert by_name.keys() == {each.name for each in (*console.QUERIES, *console.COMMANDS)}
        assert all(by_name[query.name]["ratio"] == by_name[query.name]["cpu_ratio"] == 1 for query in console.QUERIES)
        assert all(each["median_s"] >= each["cpu_s"] / 2 > 0 for each in by_name.values())
        assert all(20 < each["peak_mib"] < 1000 for each in by_name.values())


def test_a_command_that_fails_ends_the_run(tmp_path: Path) -> None:
    """It is quick, and its figures would be the best of all."""
    command = console.Command(("bench.query", "Applications"), (APPLICATIONS,))
    with table_service(10) as service, pytest.raises(Problem, match=r"(?s)Applications ended with 1: .*TableNotFound"):
        console.run(command, tmp_path / "export", {**os.environ, "STATE_STORAGE": service.connection_string})


@needs_runtime
def test_an_answer_that_was_not_expected_ends_the_run(webhook: Subject) -> None:
    """Figures of calls that failed would be figures of something else."""
    with pytest.raises(Problem, match=r"webhook answered .*400.* instead of .*200"):
        webhook.deliver([["{}"]])


def test_the_relay_counts_requests_and_not_connections(storage: Azurite) -> None:
    """A client keeps its connection; each request on it is to be counted."""
    with distant(storage.port, 0) as far:
        create_tables(far.connection_string)
        create_tables(far.connection_string)

        assert far.requests() == 2


def test_the_command_line_knows_the_parts() -> None:
    """It must be readable by an old Python, so it has a list of its own."""
    assert tuple(suite.PARTS) == PARTS


@needs_runtime
def test_one_part_leaves_the_figures_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each part is a run of its own, with its own date; a quick one is for the eyes only."""
    results = tmp_path / "results.json"
    results.write_text('{"growth": {"rounds": 7}}', "utf-8")
    part = Part({"rounds": 2}, [Table("A title", ["", "ms"], [["a thing", "1.5"]])])
    monkeypatch.setattr(suite, "RESULTS", results)
    monkeypatch.setattr(suite, "PARTS", {"start": lambda _progress, _sizes: part})

    assert suite.main(NEVER, ["start"], [], quick=True) == 0
    assert json.loads(results.read_text("utf-8")) == {"growth": {"rounds": 7}}

    assert suite.main(NEVER, ["start"], [], quick=False) == 0
    kept = json.loads(results.read_text("utf-8"))
    assert kept["growth"] == {"rounds": 7}
    assert kept["start"]["rounds"] == 2
    assert kept["start"]["measured"]["packages"]["azure-data-tables"]
    assert "a thing  1.5" in capsys.readouterr().out


def test_a_spread_is_the_median_and_the_99th_percentile() -> None:
    """In milliseconds, of seconds."""
    assert Spread.of([number / 1000 for number in range(101)]) == Spread(50.0, 99.0)
    assert Spread.of([0.002]) == Spread(2.0, 2.0)


def test_the_longest_part_is_run_only_when_it_is_named() -> None:
    """`make bench` takes five minutes, as it says."""
    assert set(PARTS) - set(suite.USUAL) == {"console"}


def test_whoever_asks_to_stop_waits_for_one_round_at_most() -> None:
    """A benchmark takes minutes; Ctrl-C must not."""
    stopping = Stopping()
    rounds = Progress(stopping).rounds(100, "waiting")
    next(rounds)
    stopping.ask(2)

    with pytest.raises(Stopped):
        next(rounds)
