"""`managedapps show`: one application, found by what people know of it, with all that was ever heard of it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from console.marketplace.lives import Life
from tests.console.conftest import Run
from tests.console.publisher.conftest import Filled
from webhook.tables import APPLICATIONS, INBOX


def name_of(life: Life) -> str:
    """Give the name of an application."""
    return life.truth.application_id.rpartition("/")[2]


def failed(filled: Filled) -> Life:
    """Give a customer whose last event carries an error with details."""
    return next(
        life
        for life in filled.population
        if life.truth.error_code and json.loads(life.events[-1].body)["error"].get("details")
    )


def test_everything_is_shown(filled: Filled, managedapps: Run) -> None:
    """Who looks at one application wants to look nowhere else."""
    life = failed(filled)
    error = json.loads(life.events[-1].body)["error"]
    out = managedapps("show", life.truth.application_id).out

    plan = (life.truth.plan or {}).values()
    for text in (life.truth.event_time, life.truth.first_event_time, *plan, life.truth.resource_usage_id):
        assert str(text or "") in out
    for cause in (error, *error["details"]):
        assert f"{cause['code']}: {cause['message']}\n" in out
    assert out.index(error["code"]) < out.index(error["details"][0]["code"])


def test_the_life_cycle_is_a_line_for_each_event_in_the_order_of_time(filled: Filled, managedapps: Run) -> None:
    """Whatever the order in which they arrived."""
    life = max(filled.population, key=lambda each: len(each.events))
    lines = managedapps("show", life.truth.application_id).out.split("Life cycle\n")[1].splitlines()

    assert [line.split()[:4] for line in lines] == [
        [event.time[:10], event.time[11:19], event.event_type, event.provisioning_state]
        for event in sorted(life.events, key=lambda event: event.moment)
    ]


def test_a_finished_operation_says_how_long_it_took(filled: Filled, managedapps: Run) -> None:
    """`Accepted to Succeeded in 6 min 12 s`, counted from the events themselves."""
    for life in filled.population:
        first, second = life.events[:2]
        if (second.event_type, second.provisioning_state) == ("PUT", "Succeeded"):
            break
    lines = managedapps("show", life.truth.application_id).out.split("Life cycle\n")[1].splitlines()
    took = timedelta(microseconds=(second.moment - first.moment) / 10)
    minutes, seconds = divmod(round(took.total_seconds()), 60)

    assert f"Accepted to Succeeded in {minutes} min {seconds} s".replace(" 0 s", "") in lines[1]


@pytest.mark.parametrize("spell", [str.upper, str.lower, str.title], ids=["upper", "lower", "title"])
def test_an_id_is_found_in_any_casing(filled: Filled, managedapps: Run, spell: Callable[[str], str]) -> None:
    """The portal, the CLI and the Marketplace do not agree on it."""
    life = filled.population[3]
    done = managedapps("show", spell(life.truth.application_id), "--json")

    assert json.loads(done.out)["applicationName"] == name_of(life)


def test_a_unique_part_of_a_name_is_enough(filled: Filled, managedapps: Run) -> None:
    """Nobody types resource IDs at 3 a.m."""
    life = filled.population[57]
    assert name_of(life).lower().endswith("57")

    assert json.loads(managedapps("show", "57", "--json").out)["applicationId"] == life.truth.application_id


def test_what_may_mean_several_is_not_guessed(filled: Filled, managedapps: Run) -> None:
    """The candidates are named, to be copied."""
    done = managedapps("show", "sales")
    several = [life for life in filled.population if "sales" in name_of(life).lower()]

    assert len(several) > 1
    assert (done.status, done.out) == (1, "")
    assert str(len(several)) in done.err.splitlines()[0]
    assert any(life.truth.application_id in done.err for life in several)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "text", ["nosuchname", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Solutions/applications/a", ""]
)
def test_what_is_not_there_is_said_in_a_line(managedapps: Run, text: str) -> None:
    """With a word on where the others are."""
    done = managedapps("show", text)

    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)


def test_json_has_every_notification_whole(filled: Filled, managedapps: Run) -> None:
    """For programs, nothing is left out."""
    life = max(filled.population, key=lambda each: len(each.events))
    shown = json.loads(managedapps("show", life.truth.application_id, "--json").out)

    assert [each["body"] for each in shown["notifications"]] == [json.loads(event.body) for event in life.events]
    assert shown["hasRow"] is True
    assert shown["provisioningState"] == life.truth.provisioning_state
    for each in shown["notifications"]:
        received = datetime.fromisoformat(each["receivedAt"])
        assert datetime.now(UTC) - timedelta(hours=1) < received < datetime.now(UTC)


def test_a_row_that_is_missing_is_said_and_the_notifications_are_shown(own: Filled, managedapps: Run) -> None:
    """The inbox is enough to see what happened, and `rebuild` makes the row anew."""
    life = own.population[0]
    subscription, _, row_key = life.key.partition("|")
    with TableServiceClient.from_connection_string(own.connection_string) as service:
        service.get_table_client(APPLICATIONS).delete_entity(subscription, row_key)
    done = managedapps("show", life.truth.application_id)

    assert done.status == 0
    assert "has no row" in done.out
    assert f"managedapps rebuild --dry-run {life.truth.application_id}" in done.err
    assert done.out.count("Accepted") >= 1


def test_a_row_that_says_otherwise_than_the_inbox_is_pointed_out(own: Filled, managedapps: Run) -> None:
    """The reader must not take either for the truth unwarned."""
    life = max(own.population, key=lambda each: len(each.events))
    with TableServiceClient.from_connection_string(own.connection_string) as service:
        table = service.get_table_client(INBOX)
        newest = max(
            table.query_entities("PartitionKey eq @key", parameters={"key": life.key}), key=lambda e: e["RowKey"]
        )
        table.delete_entity(newest)
    done = managedapps("show", life.truth.application_id)

    assert "differ" in done.err
    assert managedapps("show", own.population[1].truth.application_id).err == ""


def test_an_error_that_the_row_had_to_shorten_is_shown_whole(own: Filled, managedapps: Run) -> None:
    """The row holds 64 KiB, the inbox everything."""
    life = next(each for each in own.population if each.truth.error_code)
    subscription, _, row_key = life.key.partition("|")
    with TableServiceClient.from_connection_string(own.connection_string) as service:
        table = service.get_table_client(APPLICATIONS)
        row = dict(table.get_entity(subscription, row_key))
        table.update_entity({**row, "error": '{"code":"Short","truncated":true}'}, mode=UpdateMode.REPLACE)
    shown = json.loads(managedapps("show", life.truth.application_id, "--json").out)

    assert shown["error"] == json.loads(life.events[-1].body)["error"]
