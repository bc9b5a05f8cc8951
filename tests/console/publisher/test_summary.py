"""The command `summary`, on tables that a simulated Marketplace filled: against what is true of its customers."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import BytesIO, TextIOWrapper

import pytest

from console.marketplace.lives import Event, Life
from console.percentiles import nearest_rank
from console.publisher.figures import Figures
from tests.console.conftest import Run
from tests.console.publisher import stored
from tests.console.publisher.conftest import Filled
from tests.events import NOW, application_id, body, notification
from webhook.application import Application
from webhook.notification import Notification
from webhook.settings import Storage
from webhook.tables import Tables

SINCE = ("--since", "2025-01-01")


def deployments(life: Life) -> list[tuple[Event | None, Event]]:
    """Give the beginning and the end of each deployment of a customer, told from what happened to them."""
    found: list[tuple[Event | None, Event]] = []
    began: Event | None = None
    for event in life.events:
        if (event.event_type, event.provisioning_state) == ("PUT", "Accepted"):
            began = event
        elif event.event_type == "PUT":
            found.append((began, event))
            began = None
    return found


def store(storage: Storage, *notifications: Notification) -> None:
    """Write notifications and the rows that they make, each of an application of its own."""

    async def write() -> None:
        async with Tables.connect(storage) as tables:
            for each in notifications:
                await tables.add_notification(each, NOW)
                await tables.insert_application(Application.of(each))

    asyncio.run(write())


def test_the_figures_are_what_is_true_of_the_customers(filled: Filled, managedapps: Run) -> None:
    """Added up a second time, from what happened and not from what was stored."""
    done = managedapps("summary", SINCE, "--json")
    found = json.loads(done.out)
    ended = [each for life in filled.population for each in deployments(life)]
    succeeded = [(began, end) for began, end in ended if end.provisioning_state == "Succeeded"]
    seconds = sorted((end.moment - began.moment) / 10_000_000 for began, end in succeeded if began)
    truths = [life.truth for life in filled.population]

    assert (done.status, done.err) == (0, "")
    assert found["applications"] == len(truths) == 60
    assert {state: number for state, number in found["states"].items() if number} == Counter(
        truth.provisioning_state for truth in truths
    )
    assert sum(each["applications"] for each in found["plans"]) == 60
    assert {
        (each["planProduct"], each["planName"], each["planVersion"]): each["applications"]
        for each in found["plans"]
        if each["planName"]
    } == Counter((truth.plan["product"], truth.plan["name"], truth.plan["version"]) for truth in truths if truth.plan)
    assert found["failed"] == {
        "deployment": sum((each.event_type, each.provisioning_state) == ("PUT", "Failed") for each in truths),
        "deletion": sum((each.event_type, each.provisioning_state) == ("DELETE", "Failed") for each in truths),
    }
    assert found["errors"]["codes"] == Counter(truth.error_code for truth in truths if truth.error_code)
    assert found["deployments"]["succeeded"] == len(succeeded) > 20
    assert found["deployments"]["failed"] == len(ended) - len(succeeded) > 5
    assert found["deployments"]["successRate"] == len(succeeded) / len(ended)
    assert found["deployments"]["seconds"] == {
        "measured": len(seconds),
        "median": pytest.approx(nearest_rank(seconds, 0.5), abs=1e-5),
        "p95": pytest.approx(nearest_rank(seconds, 0.95), abs=1e-5),
        "slowest": pytest.approx(seconds[-1], abs=1e-5),
    }
    days = Counter(end.time[:10] for _, end in ended)
    assert {day: sum(each.values()) for day, each in found["deployments"]["days"].items()} == days


@pytest.mark.usefixtures("filled")
def test_people_read_the_same_figures(managedapps: Run) -> None:
    """In a pipe: nothing cut, no colours, and the period is named."""
    found = json.loads(managedapps("summary", SINCE, "--json").out)
    done = managedapps("summary", SINCE)
    lines = done.out.splitlines()
    words = [line.split() for line in lines]

    assert (done.status, done.err) == (0, "")
    assert lines[0].startswith("60 applications on 20")
    assert ["Succeeded", str(found["states"]["Succeeded"])] in [each[:2] for each in words]
    assert ["Failed", "(DELETE)", str(found["failed"]["deletion"])] in [each[:3] for each in words]
    assert any(line.startswith("Deployments (since 2025-01-01 00:00 UTC, ") for line in lines)
    deployments_ = found["deployments"]
    assert f"succeeded: {deployments_['succeeded']}, and {deployments_['failed']} failed" in done.out
    assert "time to deploy: median " in done.out
    assert "█" in done.out
    for code, number in found["errors"]["causes"].items():
        assert [code, str(number)] in [each[:2] for each in words]
    assert "\x1b" not in done.out


def test_a_period_without_deployments_says_so_and_still_tells_how_all_stand(filled: Filled, managedapps: Run) -> None:
    """By default it is the last 30 days; the customers are of 2025."""
    done = managedapps("summary")

    assert "60 applications" in done.out
    assert "none ended in that time" in done.out
    truths = [life.truth for life in filled.population if life.truth.event_type == "PUT"]
    last = max(truth.event_time for truth in truths if truth.provisioning_state != "Accepted")
    advice = "`managedapps summary --since 2025-01-01`"
    assert f"the newest that is still an application's latest event ended on {last[:10]}: {advice}\n" in done.out
    assert " % succeeded: " in managedapps(advice.strip("`").split()[1:]).out
    assert ", 30d)" in done.out


def test_what_is_stuck_is_named(storage: Storage, managedapps: Run, elsewhere: pytest.MonkeyPatch) -> None:
    """Somebody has to look after it; the limit is the user's to choose."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    store(
        storage,
        notification(applicationId=application_id("slow"), eventTime="2026-02-01T10:00:00Z"),
        notification("DELETE", "Deleting", applicationId=application_id("tough"), eventTime="2026-02-02T10:00:00Z"),
        notification("PUT", "Succeeded", applicationId=application_id("fine"), eventTime="2026-01-01T10:00:00Z"),
    )

    done = managedapps("summary", "--stuck", "1h")
    assert "Stuck: 2 applications Accepted or Deleting for longer than 1h" in done.out
    named = [line.split()[0::4] for line in done.out.splitlines() if "rg-orders" in line]
    assert named == [["Accepted", "slow"], ["Deleting", "tough"]]
    assert "Stuck: no application" in managedapps("summary", "--stuck", "5000w").out


def test_what_is_stuck_is_listed_by_the_command_that_is_advised(
    storage: Storage, managedapps: Run, elsewhere: pytest.MonkeyPatch
) -> None:
    """A rounded duration would list others."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    now = datetime.now(UTC)
    for number in range(13):
        begun = now - timedelta(seconds=65 if number == 0 else 600)
        changes = {"applicationId": application_id(f"slow-{number}"), "eventTime": f"{begun:%Y-%m-%dT%H:%M:%S}Z"}
        store(storage, Notification.from_body(body(**changes), now=now))
    done = managedapps("summary", "--stuck", "90s")
    advice = done.out.partition("and 2 more: `managedapps ")[2].partition("`")[0].split()

    assert "Stuck: 12 applications Accepted or Deleting for longer than 1m30s\n" in done.out
    assert advice == ["list", "--stuck", "1m30s"]
    assert len(json.loads(managedapps(advice, "--json").out)) == 12


def test_without_applications_it_says_how_to_get_some(
    storage: Storage, managedapps: Run, elsewhere: pytest.MonkeyPatch
) -> None:
    """It is the first command that many will try."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    done = managedapps("summary")

    assert (done.status, done.out) == (0, "")
    assert "the first notification makes one" in done.err
    assert json.loads(managedapps("summary", "--json").out)["applications"] == 0


def test_names_from_the_tables_command_no_terminal(
    storage: Storage, managedapps: Run, elsewhere: pytest.MonkeyPatch
) -> None:
    """A customer chooses them."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    odd = "a\u202eb[red]:smile:"
    plan = {"publisher": "p", "product": "x\u001b[31my", "name": "n\nn", "version": "1\u0007"}
    store(storage, notification(applicationId=application_id(odd), plan=plan))
    done = managedapps("summary")

    assert "x�[31my" in done.out
    assert "a�b[red]:smile:" in done.out
    assert not [letter for letter in done.out if not letter.isprintable() and letter != "\n"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "soon"), "neither a date"),
        (("--since", f"{datetime.now(UTC).year + 2}-01-01"), "still to come"),
        (("--stuck", "long"), "is not a duration"),
    ],
)
@pytest.mark.usefixtures("filled")
def test_a_period_that_cannot_be_meant_is_wrong_usage(managedapps: Run, arguments: tuple[str, str], words: str) -> None:
    """Rather than a summary of nothing."""
    done = managedapps("summary", *arguments)

    assert (done.status, done.out) == (2, "")
    assert words in done.err


@pytest.mark.parametrize("arguments", [("--since", "0001-01-01"), ("--since", "9000d"), ("--stuck", "99999999d")])
@pytest.mark.usefixtures("filled")
def test_no_time_is_too_long(managedapps: Run, arguments: tuple[str, str]) -> None:
    """All of it means all of it."""
    done = managedapps("summary", *arguments)

    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_the_charts_are_drawn_in_what_the_terminal_can_show(encoding: str) -> None:
    """The console of Windows may know neither blocks nor lines."""
    rich = pytest.importorskip("rich.console", reason="rich is not installed: the console is an optional extra")
    from console.publisher.summary import lines  # noqa: PLC0415 - cannot be imported without it

    figures = Figures(stored.NOW, stored.NOW - timedelta(days=30), timedelta(hours=2))
    figures.add_row(stored.row("a", "Failed"))
    figures.add_entry(stored.entry("a", "PUT Failed", stored.NOW))
    terminal = rich.Console(file=TextIOWrapper(BytesIO(), encoding), force_terminal=True, width=160)
    text = "\n".join(line.plain for line in lines(figures.summary(), terminal))

    assert "1 application on 2026-03-31" in text
    assert text.encode(encoding)
    assert text.isascii() == (encoding != "utf-8")
