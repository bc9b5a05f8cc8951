"""The queries of alerts and workbook, run over lines that the app wrote: a renamed field breaks a test, not an alert.

The lines come from the app itself, on the store of the tests; a Kusto for one machine (duckdb-kql) runs the queries as
they stand in the files. Azure's own has not seen them.
"""

import asyncio
import json
import logging
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.events import application_id, body
from tests.fake_store import FakeStore
from tests.infra.conftest import Borrow
from webhook.receive import Receiver
from webhook.settings import Settings
from webhook.store import StoreError

QUERIES = Path(__file__).resolve().parents[2] / "infra/queries"
SECRET = "the-secret-of-the-tests"
USABLE = {"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": "AccountName=example;AccountKey=c2VjcmV0"}
Row = dict[str, Any]
Answers = Mapping[str, list[Row]]


class Log(logging.Handler):
    """The table AppTraces, as the app fills it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[datetime, str, str]] = []
        self.at, self.operation = datetime.now(UTC), "4bf92f3577b34da6a3ce929d0e0e4736"

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.rows.append((self.at, self.format(record), self.operation))


class Past:
    """What happened to the webhook before now, call by call."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.log, self.store = Log(), FakeStore()

    def ago(self, hours: float) -> str:
        """Give a time as an event has it."""
        return f"{self.now - timedelta(hours=hours):%Y-%m-%dT%H:%M:%S.%f}7Z"

    def call(
        self, hours: float, sent: bytes, secret: str | None = SECRET, settings: Mapping[str, str] | None = None
    ) -> None:
        """Have the app receive a body, so many hours ago."""
        at = self.log.at = self.now - timedelta(hours=hours)
        receiver = Receiver(
            Settings.from_mapping(USABLE if settings is None else settings), lambda _: self.store, lambda: at
        )
        logger = logging.getLogger("webhook")
        level = logger.level
        logger.addHandler(self.log)
        logger.setLevel(logging.INFO)
        try:
            asyncio.run(receiver.receive(secret, sent))
        finally:
            logger.removeHandler(self.log)
            logger.setLevel(level)

    def event(self, name: str, event_type: str, state: str, *, hours: float, received: float | None = None) -> None:
        """Have the app receive an event of an application; received 3 minutes later, where nothing else is said."""
        sent = body(event_type, state, applicationId=application_id(name), eventTime=self.ago(hours))
        self.call(hours - 0.05 if received is None else received, sent)

    def fail(self, hours: float, name: str = "unlucky") -> None:
        """Have the storage refuse an event, received so many hours ago."""

        async def refuse(_operation: str) -> None:
            raise StoreError("storage is down")

        gate, self.store.gate = self.store.gate, refuse
        self.event(name, "PUT", "Succeeded", hours=hours + 0.05, received=hours)
        self.store.gate = gate


def lived() -> Past:
    """Give a past in which everything happened that the queries look for, and what they must not take for it."""
    past = Past()
    past.event("done", "PUT", "Accepted", hours=4)
    past.event("done", "PUT", "Succeeded", hours=3.5)
    past.event("waiting", "PUT", "Accepted", hours=3)
    past.event("leaving", "DELETE", "Deleting", hours=26)
    past.event("young", "PUT", "Accepted", hours=1)
    past.event("broken", "PUT", "Failed", hours=0.5)
    past.event("broken", "PUT", "Failed", hours=0.5, received=0.35)  # delivered twice
    past.event("recovered", "PUT", "Succeeded", hours=2)
    past.event("recovered", "PUT", "Failed", hours=2.2, received=1.5)  # late: superseded
    # the same application, spelt otherwise, is no longer waiting
    past.event("Spelt", "PUT", "Accepted", hours=5)
    other = application_id("spelt").lstrip("/").replace("Microsoft.Solutions", "microsoft.solutions")
    past.call(4, body("PUT", "Succeeded", applicationId=other, eventTime=past.ago(4.1)))
    past.call(0.1, b"{}", secret=None)
    past.call(0.1, b"{}", secret="wrong")
    past.call(0.2, b'{"eventType": "PUT"}')
    past.call(0.2, b" " * (256 * 1024 + 1))
    past.fail(0.35)
    past.call(0.6, b"{}", settings={})
    past.log.operation = re.findall(r"OperationId == '(\w+)'", (QUERIES / "calls.kql").read_text("utf-8"))[0]
    past.call(0.1, b"", secret=None)  # the check after a deployment
    past.call(0.05, b"{}", secret="a guess")  # under the check's trace, which everybody can read here
    return past


def requested(
    past: Past, *calls: tuple[float, int], name: str = "resource", operation: str = "0af7651916cd43dd"
) -> list[Any]:
    """Give rows of AppRequests: so many minutes ago, and what was answered."""
    return [
        [f"{past.now - timedelta(minutes=minutes):%Y-%m-%d %H:%M:%S.%f}", str(code), name, operation]
        for minutes, code in calls
    ]


def text_of(name: str) -> str:
    """Give a query as it is sent: behind the definition of `calls`, where it uses it."""
    text = (QUERIES / f"{name}.kql").read_text("utf-8")
    uses = re.search(r"^[^/]*\bcalls\b", text, re.MULTILINE)
    return (QUERIES / "calls.kql").read_text("utf-8") + text if uses else text


NAMES = sorted(path.stem for path in QUERIES.glob("*.kql") if path.stem != "calls")


def answered(borrow: Borrow, traces: list[tuple[datetime, str, str]], requests: list[list[Any]]) -> Answers:
    """Run every query over tables with these rows."""
    asked = {
        "tables": {
            "AppTraces": {
                "columns": {"TimeGenerated": "TIMESTAMP", "Message": "VARCHAR", "OperationId": "VARCHAR"},
                "rows": [[f"{at:%Y-%m-%d %H:%M:%S.%f}", message, operation] for at, message, operation in traces],
            },
            "AppRequests": {
                "columns": {
                    "TimeGenerated": "TIMESTAMP",
                    "ResultCode": "VARCHAR",
                    "Name": "VARCHAR",
                    "OperationId": "VARCHAR",
                },
                "rows": requests,
            },
        },
        "queries": {name: text_of(name) for name in NAMES},
    }
    run = subprocess.run(
        [*borrow("duckdb-kql"), "python", Path(__file__).with_name("kql_on_duckdb.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2_000:]
    given: Answers = json.loads(run.stdout)
    return given


@pytest.fixture(scope="module")
def past() -> Past:
    """Give the past that the queries are asked about."""
    return lived()


@pytest.fixture(scope="module")
def answers(borrow: Borrow, past: Past) -> Answers:
    """Give what every query finds in it."""
    requests = requested(past, (55, 200), (50, 500), (35, 503), (15, 500), (5, 401))
    return answered(borrow, past.log.rows, requests)


def applications(rows: list[Row]) -> list[str]:
    """Give the names of the applications in what a query found."""
    return sorted(row["application"].rpartition("/")[2] for row in rows)


def test_every_field_that_is_read_is_one_that_the_app_writes(past: Past) -> None:
    """The queries find nothing, and say nothing, where a field has another name."""
    lines = [json.loads(message) for _, message, _ in past.log.rows]
    text = (QUERIES / "calls.kql").read_text("utf-8")
    read = set(re.findall(r"\bcall\.(\w+)", text))

    assert read == {
        *("outcome", "status", "applicationId", "eventType", "provisioningState", "eventTime"),
        *("lagSeconds", "storageRequests", "durationMs", "reason"),
    }
    assert read <= {name for line in lines for name in line}


def test_every_outcome_of_the_app_is_in_this_past(past: Past) -> None:
    """What never happens here is what the queries are not tried on."""
    outcomes = {json.loads(message)["outcome"] for _, message, _ in past.log.rows}

    assert outcomes == {
        *("stored", "duplicate", "superseded", "refused", "invalid", "too_large", "failed", "misconfigured")
    }


def test_a_refused_call_is_found_but_not_the_check_of_a_deployment(answers: Answers) -> None:
    """The one is a lost event; the other would wake somebody at every deployment. Its trace hides nothing else."""
    assert sorted(row["reason"] for row in answers["refused"]) == [
        *("the secret is wrong", "the secret is wrong"),
        "there is no secret",
    ]


def test_a_rejected_body_is_found(answers: Answers) -> None:
    """The sender's format may have changed: somebody should look."""
    assert sorted(row["outcome"] for row in answers["rejected"]) == ["invalid", "too_large"]


def test_an_application_is_stuck_by_its_latest_event_after_two_hours(answers: Answers) -> None:
    """Those that went on, those that only began, and those that are spelt in two ways are not."""
    assert applications(answers["stuck"]) == ["leaving", "waiting"]
    assert {row["provisioningState"] for row in answers["stuck"]} == {"Accepted", "Deleting"}


@pytest.mark.parametrize("turned", [False, True], ids=["as they happened", "the other way round"])
def test_of_events_that_bear_the_same_time_the_later_in_life_counts(borrow: Borrow, *, turned: bool) -> None:
    """The app orders them so: an alert that takes the other sends somebody to look for nothing, or says nothing."""
    past = Past()
    pairs = [
        *(("done", "PUT", "Accepted"), ("done", "PUT", "Succeeded")),
        *(("gone", "DELETE", "Deleting"), ("gone", "DELETE", "Deleted")),
        *(("kept", "DELETE", "Deleting"), ("kept", "DELETE", "Failed")),
        *(("leaving", "PATCH", "Succeeded"), ("leaving", "DELETE", "Deleting")),
    ]
    for name, event_type, state in reversed(pairs) if turned else pairs:
        past.event(name, event_type, state, hours=3)
    found = answered(borrow, past.log.rows, [])
    states = [row for row in found["states-over-time"] if row["day"].startswith(f"{past.now:%Y-%m-%d}")]

    assert applications(found["stuck"]) == ["leaving"]
    assert {row["provisioningState"]: row["applications"] for row in states} == dict.fromkeys(
        ("Succeeded", "Deleted", "Failed", "Deleting"), 1
    )


def test_a_failed_deployment_is_found_but_not_one_that_something_later_is_known_of(answers: Answers) -> None:
    """An alert about an application that has recovered sends somebody to look for nothing."""
    assert applications(answers["failed"]) == [
        "broken",
        "broken",
    ]  # twice, as a first delivery may be answered with 500
    assert {row["eventType"] for row in answers["failed"]} == {"PUT"}


def test_an_event_that_waits_for_half_an_hour_is_found(answers: Answers) -> None:
    """The 10 hours are running."""
    (found,) = answers["server-errors"]

    assert (found["application"], found["failures"]) == ("", 3)


@pytest.mark.parametrize(
    ("calls", "fires"),
    [
        ([(31, 500)], True),
        ([(9 * 60, 500)], True),
        ([(29, 500)], False),
        ([(300, 500), (299, 200)], False),
        ([(300, 500), (240, 500), *((minutes, 200) for minutes in range(230, 0, -1))], False),
        ([(300, 200), (200, 500), (5, 401)], True),
        ([(40, 500), (10, 500), (5, 200)], False),
    ],
    ids=[
        "one, among no others",
        "one, in an early hour",
        "a restart",
        "delivered again",
        "two among thousands",
        "only refused calls since",
        "just over",
    ],
)
def test_a_failure_is_over_when_something_is_recorded_after_it(
    borrow: Borrow, past: Past, calls: list[tuple[float, int]], *, fires: bool
) -> None:
    """With few events there may be one call an hour, and with many there is always a failure somewhere."""
    assert bool(answered(borrow, [], requested(past, *calls))["server-errors"]) == fires


def test_an_application_whose_events_keep_failing_is_found_among_others_that_do_not(borrow: Borrow) -> None:
    """What the app cannot take of one customer is lost after 10 hours, however well the others are served."""
    past = Past()
    past.fail(3, "cursed")
    past.fail(1, "cursed")
    past.fail(3, "recovered")
    past.event("recovered", "PUT", "Succeeded", hours=3.05, received=2)
    past.fail(0.4, "young")
    for hours in (2.5, 1.5, 0.5):
        past.event("another", "PUT", "Succeeded", hours=hours)
    found = answered(borrow, past.log.rows, requested(past, (180, 500), (60, 500), (24, 500), (20, 200)))[
        "server-errors"
    ]

    assert applications(found) == ["cursed"]
    assert found[0]["failures"] == 2


def test_other_requests_neither_make_an_outage_nor_end_it(borrow: Borrow, past: Past) -> None:
    """The page at / answers 200 to anybody, and a check after a deployment may meet a 503."""
    (check,) = re.findall(r"OperationId == '(\w+)'", (QUERIES / "calls.kql").read_text("utf-8"))
    failing = requested(past, (60, 500))
    page = requested(past, (10, 200), name="GET /")
    checks = requested(past, (50, 503), (45, 500), operation=check)

    assert check in (QUERIES / "server-errors.kql").read_text("utf-8")
    assert answered(borrow, [], failing + page)["server-errors"]
    assert answered(borrow, [], checks)["server-errors"] == []


def test_the_function_is_the_one_whose_requests_are_asked_for() -> None:
    """Requests bear the function's name: under another one, no outage would be found."""
    app = (QUERIES.parents[1] / "function_app.py").read_text("utf-8")
    (function,) = re.findall(r"async def (\w+)\(req", app)

    assert f"Name endswith '{function}'" in (QUERIES / "server-errors.kql").read_text("utf-8")


def test_nothing_is_found_where_nothing_happened(borrow: Borrow, past: Past) -> None:
    """An alert rule fires on any row."""
    del past
    nothing = answered(borrow, [], [])

    assert nothing == {name: [] for name in NAMES} | {"server-errors": []}


def test_the_states_over_time_are_those_at_the_end_of_each_day(answers: Answers, past: Past) -> None:
    """Today, every application is counted once, by the latest that is known of it."""
    rows = [row for row in answers["states-over-time"] if row["day"].startswith(f"{past.now:%Y-%m-%d}")]

    assert {row["provisioningState"]: row["applications"] for row in rows} == {
        "Succeeded": 3,  # done, recovered, spelt
        "Accepted": 2,  # waiting, young
        "Deleting": 1,
        "Failed": 1,
    }


def test_the_latest_events_come_first(answers: Answers) -> None:
    """Whoever looks wants to know what just happened."""
    times = [row["TimeGenerated"] for row in answers["latest-events"]]

    assert len(times) == 11
    assert times == sorted(times, reverse=True)
    assert applications(answers["latest-events"][:1]) == ["broken"]
    assert answers["latest-events"][0]["outcome"] == "duplicate"


def test_failures_are_counted_by_code(answers: Answers) -> None:
    """The reasons of rejections are keys, each of its own; the others tell what is wrong."""
    counted = {
        (row["status"], row["outcome"]): (row["failures"], row["reason"])
        for row in answers["failures-by-code"]
        if row["outcome"] != "refused"
    }

    assert counted == {
        (400, "invalid"): (1, ""),
        (413, "too_large"): (1, ""),
        (500, "failed"): (1, "storage is down"),
        (500, "misconfigured"): (1, counted[500, "misconfigured"][1]),
    }
    assert "WEBHOOK_SECRET" in counted[500, "misconfigured"][1]


def test_the_lag_is_that_between_event_and_receipt(answers: Answers) -> None:
    """A lag of hours is what a failure looks like afterwards."""
    worst = max(row["worst"] for row in answers["lag"])

    assert worst == pytest.approx(0.7 * 3600, abs=1)  # the late one: of 2.2 hours ago, received 1.5 hours ago
    assert all(row["median"] <= row["p95"] <= row["worst"] for row in answers["lag"])


def test_refused_calls_are_counted_by_hour(answers: Answers) -> None:
    """A secret that was changed on one side only shows as a step."""
    assert sum(row["refused"] for row in answers["refused-over-time"]) == 3
