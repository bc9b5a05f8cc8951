"""`managedapps doctor`: it finds what is wrong, says what to do, and leaves nothing behind."""

import json
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import TableSasPermissions, TableServiceClient, generate_table_sas

from tests.console.conftest import SECRET, Run, Start
from tests.console.publisher.conftest import ROOT, Filled
from tools.stack import served
from webhook.settings import Storage
from webhook.tables import APPLICATIONS, INBOX


def verdicts(out: str) -> dict[str, list[str]]:
    """Give the verdicts by the name of the check."""
    found: dict[str, list[str]] = {}
    for check in json.loads(out):
        found.setdefault(check["check"], []).append(check["verdict"])
    return found


def remedies(out: str) -> str:
    """Give all remedies."""
    return "\n".join(check["remedy"] or "" for check in json.loads(out))


@pytest.mark.skipif(find_spec("azure_functions_runtime") is None, reason="azure-functions-runtime needs Python 3.13")
def test_all_is_well_where_all_is_well(filled: Filled, elsewhere: pytest.MonkeyPatch, managedapps: Run) -> None:
    """Against the real function: 401 without a secret is the proof of life."""
    elsewhere.setenv("WEBHOOK_SECRET", SECRET)
    with served({"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": filled.connection_string}) as host:
        done = managedapps("doctor", "--url", host.partner_center_url)

    assert (done.status, done.err) == (0, "")
    assert [line.split()[1] for line in done.out.splitlines()] == ["ok"] * 7
    assert f"POST http://127.0.0.1:{host.port}/api/resource was answered with 401" in done.out


def test_it_leaves_nothing_behind(filled: Filled, managedapps: Run) -> None:
    """It is run against production."""

    def everything() -> list[Any]:
        with TableServiceClient.from_connection_string(filled.connection_string) as service:
            return [
                (table.name, row, row.metadata)
                for table in service.list_tables()
                for row in service.get_table_client(table.name).list_entities()
            ]

    before = everything()
    managedapps("doctor")

    assert everything() == before


def test_a_new_account_is_well(storage: Storage, elsewhere: pytest.MonkeyPatch, managedapps: Run) -> None:
    """Tables are made by the first write."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    elsewhere.setenv("WEBHOOK_SECRET", SECRET)
    done = managedapps("doctor")

    assert done.status == 0
    assert done.out.count("is not there yet") == 3
    assert "Give --url" in done.out


@pytest.mark.usefixtures("elsewhere")
def test_an_empty_folder_has_no_settings(managedapps: Run) -> None:
    """The first thing that goes wrong is to stand in the wrong folder."""
    done = managedapps("doctor")

    assert done.status == 1
    assert "WEBHOOK_SECRET is not set" in done.out
    assert "Run it in the folder of local.settings.json" in done.out
    assert done.err == "2 of 3 checks failed.\n"


@pytest.mark.parametrize(
    ("secret", "previous", "verdict", "said"),
    [
        ("short", "", "failed", "WEBHOOK_SECRET is shorter"),
        (f" {SECRET}", "", "failed", "white space"),
        (SECRET, "short", "warning", "WEBHOOK_SECRET_PREVIOUS is shorter"),
    ],
)
def test_an_unusable_secret_is_found(  # noqa: PLR0913, PLR0917 - a table
    elsewhere: pytest.MonkeyPatch, managedapps: Run, secret: str, previous: str, verdict: str, said: str
) -> None:
    """By the same rules as the app's."""
    elsewhere.setenv("WEBHOOK_SECRET", secret)
    elsewhere.setenv("WEBHOOK_SECRET_PREVIOUS", previous)
    done = managedapps("doctor", "--json")

    assert verdicts(done.out)["settings"][0] == verdict
    assert said in done.out
    assert remedies(done.out)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("text", ['{"Values": {},}', '{"Values": {"WEBHOOK_SECRET": 5}}'])
def test_broken_local_settings_are_found_and_the_rest_is_looked_at(start: Start, managedapps: Run, text: str) -> None:
    """A comma too many: said once, for people and for programs."""
    Path("local.settings.json").write_text(text, "utf-8")
    with start(401) as server:
        done = managedapps("doctor", "--json", "--url", server.url)

    assert (done.status, done.err) == (1, "")
    assert verdicts(done.out) == {"settings": ["failed"], "storage": ["skipped"], "function": ["failed"]}
    assert "local.settings.json" in done.out
    assert "Mend the file" in remedies(done.out)


def connection(port: int, key: str = "aw==") -> str:
    """Give a connection string."""
    return f"AccountName=a;AccountKey={key};TableEndpoint=http://127.0.0.1:{port}/a"


def test_storage_that_cannot_be_reached_is_found(managedapps: Run, elsewhere: pytest.MonkeyPatch) -> None:
    """With what it may be."""
    elsewhere.setenv("WEBHOOK_SECRET", SECRET)
    done = managedapps("doctor", "--connection", connection(9), "--json")

    assert verdicts(done.out)["storage"] == ["failed"]
    assert "firewall" in remedies(done.out)


def test_rights_to_read_alone_are_found(filled: Filled, managedapps: Run) -> None:
    """They are enough for the console, and not for the function."""
    parts = dict(part.split("=", 1) for part in filled.connection_string.strip(";").split(";"))
    signature = generate_table_sas(
        AzureNamedKeyCredential(parts["AccountName"], parts["AccountKey"]),
        APPLICATIONS,
        permission=TableSasPermissions(read=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    reader = f"TableEndpoint={parts['TableEndpoint']};SharedAccessSignature={signature}"
    done = managedapps("doctor", "--connection", reader, "--json")

    assert done.status == 1
    assert verdicts(done.out)["storage"][0] == "ok"
    assert "failed" in verdicts(done.out).get("table", []) + verdicts(done.out)["storage"]
    assert f"{APPLICATIONS} can be read, but not written" in done.out
    assert signature not in done.out + done.err


def test_a_key_that_is_not_right_is_found(filled: Filled, managedapps: Run) -> None:
    """Somebody rotated it."""
    wrong = filled.connection_string.replace("AccountKey=", "AccountKey=AAAA")
    done = managedapps("doctor", "--connection", wrong, "--json")

    assert verdicts(done.out)["storage"] == ["failed"]
    assert "403" in done.out
    assert "AAAA" not in done.out + done.err


@pytest.mark.parametrize(
    ("status", "reply", "remedy"),
    [
        (401, '{"detail": "The query parameter \'secret\' is missing or wrong."}', "not the webhook"),
        (401, "<html>Sign in</html>", "App Service authentication"),
        (403, "", "Access restrictions"),
        (404, "", "does the URL end in /api?"),
        (200, "{}", "lets everyone in"),
        (301, "", "follows no redirect"),
        (500, "", "settings are missing or unusable"),
        (429, "", "what stands between"),
    ],
)
def test_whatever_else_answers_is_not_taken_for_the_function(
    start: Start, managedapps: Run, status: int, reply: str, remedy: str
) -> None:
    """Only our own refusal is the proof of life: the media type and the words, not the number."""
    with start(status, reply=reply) as server:
        done = managedapps("doctor", "--connection", connection(9), "--url", server.url, "--json")

    assert verdicts(done.out)["function"] == ["failed"]
    assert remedy in remedies(done.out)
    assert done.status == 1
    assert [path for path in server.paths if "secret" in path] == []


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9/api", "the connection is refused"),
        ("contoso.azurewebsites.net/api", "must begin with https://"),
    ],
)
def test_a_url_that_leads_nowhere_is_found(managedapps: Run, url: str, said: str) -> None:
    """And called what it is."""
    done = managedapps("doctor", "--url", url, "--json")

    assert verdicts(done.out)["function"] == ["failed"]
    assert said in done.out


@pytest.mark.usefixtures("elsewhere")
def test_its_call_does_not_raise_the_alert_for_refused_calls(start: Start, managedapps: Run) -> None:
    """Whoever looks whether all is well must not wake up somebody."""
    with start(401) as server:
        managedapps("doctor", "--url", server.url)
    (trace,) = [trace.split("-")[1] for trace in server.traces]

    assert f"where not(OperationId == '{trace}' and " in (ROOT / "infra" / "queries" / "calls.kql").read_text("utf-8")


def test_resource_in_the_url_is_found(filled: Filled, start: Start, managedapps: Run) -> None:
    """The most frequent mistake of all."""
    with start(404) as server:
        url = server.url.replace("/api", "/api/resource")
        done = managedapps("doctor", "--connection", filled.connection_string, "--url", url, "--json")

    assert "leave it out of the URL" in remedies(done.out)


def test_a_clock_that_is_wrong_is_found() -> None:
    """The service's clock is the one that counts."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    from console.publisher.doctor import Verdict, clock  # noqa: PLC0415 - see above

    now = datetime(2026, 3, 1, 10, 0, 0, 500_000, tzinfo=UTC)
    for seconds, verdict in ((0, "ok"), (-60, "ok"), (-61, "failed"), (61, "ok"), (62, "failed"), (3_600, "failed")):
        service = now.replace(microsecond=0) + timedelta(seconds=seconds)
        assert clock(service, now, now + timedelta(seconds=1)).verdict is Verdict(verdict), seconds
    assert clock(None, now, now).verdict is Verdict.SKIPPED


def test_nothing_of_the_inbox_is_needed_to_be_there(own: Filled, managedapps: Run) -> None:
    """A table that is gone is made again; that it is gone is said."""
    with TableServiceClient.from_connection_string(own.connection_string) as service:
        service.delete_table(INBOX)
    done = managedapps("doctor", "--connection", own.connection_string)

    assert f"{INBOX} is not there yet" in done.out
