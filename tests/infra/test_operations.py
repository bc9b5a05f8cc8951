"""docs/operations.md and the section "Deploy", held to what they describe: alerts, options, prices, what to type."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest
from azure.data.tables import TableServiceClient

from tests.events import body
from tests.infra.conftest import AzSays
from tools.stack import served
from webhook.settings import Storage

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


def anchors(text: str) -> set[str]:
    """Give the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_alert_says_what_to_do() -> None:
    """Whoever is woken by it looks for its title."""
    text = (ROOT / "infra/modules/alerts.bicep").read_text("utf-8")
    titles = re.findall(r"^    title: '(.+)'$", text, re.MULTILINE)
    titles += re.findall(r"^    description: '(Webhook: [^.]+)\.", text, re.MULTILINE)  # a metric alert has no title

    assert len(titles) == 6
    assert set(titles) == set(re.findall(r"^### (Webhook: .+)$", OPERATIONS, re.MULTILINE))


def test_every_option_is_one_and_has_the_default_that_is_given() -> None:
    """An option with a typing error is set, and does nothing."""
    parameters = (ROOT / "infra/main.parameters.json").read_text("utf-8")
    given = dict(re.findall(r"\$\{(\w+)=([^}]*)\}", parameters))
    section = OPERATIONS.split("| `azd env set ...`")[1].split("\n\n")[0]
    told = {
        name: "" if default == "none" else default
        for name, default in re.findall(r"^\| `(\w+)[^|]*\| (\S+) \|", section, re.MULTILINE)
    }

    assert told == given


def test_every_link_leads_somewhere() -> None:
    """In the night, nobody looks for the right page."""
    for name, text in (("docs/operations.md", OPERATIONS), ("README.md", README)):
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
            page = ((ROOT / name).parent / target) if target else ROOT / name
            assert page.exists(), target
            assert not anchor or anchor in anchors(page.read_text("utf-8")), f"{target}#{anchor}"


def test_the_scripts_name_a_section_that_is_there() -> None:
    """A deployment that fails sends people to it."""
    for script in ("secret.sh", "secret.ps1"):
        (section, *others) = set(re.findall(r"'(The deployment [^']+)'", (ROOT / "infra" / script).read_text("utf-8")))
        assert not others
        assert f"## {section}\n" in OPERATIONS


def test_the_prices_are_those_that_the_units_make() -> None:
    """A table that somebody reckoned by hand is wrong after the first change."""
    section = README.split("## Deploy\n")[1].split("\n## ")[0]
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    head, _, *rows = table
    written = {row[0]: [float(cell) for cell in row[1:]] for row in rows}
    gb_second, free_gb_seconds = map(_number, re.findall(r"\$(\S+) a GB-second after (\S+) a month", section)[0])
    million, free_calls = map(_number, re.findall(r"\$(\S+) a million calls after (\S+)\.", section)[0])
    often, seldom, metric = map(
        _number,
        re.findall(r"\$(\S+) for the one .*? \$(\S+) for each of four .*? \$(\S+) for the\s+one over", section)[0],
    )
    gb_of_logs, free_gb = map(_number, re.findall(r"\$(\S+) a GB after (\S+) GB", section)[0])
    transactions, gb_of_tables = map(
        _number, re.findall(r"at \$(\S+) per 10,000, and 4 KB at \$(\S+) per GB", section)[0]
    )

    for column, events in enumerate(map(_number, head[1:])):
        costs = {
            "function": max(0, events * 2 - free_gb_seconds) * gb_second
            + max(0, events - free_calls) * million / 1_000_000,
            "alert rules": often + 4 * seldom + metric,
            "logs": max(0, events * 5 / 1_000_000 - free_gb) * gb_of_logs,
            "tables, blobs, vault": events * 3 / 10_000 * transactions + events * 4 / 1_000_000 * gb_of_tables,
        }
        assert {name: round(cost, 2) for name, cost in costs.items()} == {name: written[name][column] for name in costs}
        assert round(sum(costs.values()), 2) == written["together"][column]


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def test_the_rules_are_evaluated_as_often_as_the_prices_say() -> None:
    """Three times as often is three times as dear."""
    text = (ROOT / "infra/modules/alerts.bicep").read_text("utf-8")

    assert re.findall(r"frequency: '(\w+)'", text).count("PT5M") == 1
    assert re.findall(r"frequency: '(\w+)'", text).count("PT15M") == 4


def test_the_azure_cli_understands_what_is_to_be_typed(az_says: AzSays) -> None:
    """It reads the whole command line, and only then asks for `az login`."""
    text = re.sub(r"\\\n\s*", "", OPERATIONS + README)
    typed = {each.split(" > ")[0] for each in re.findall(r"^ *(az (?!login).+)$", text, re.MULTILINE)}
    said = az_says([shlex.split(each)[1:] for each in typed])

    assert len(said) == 9
    assert [text for text in said if "Please run 'az login'" not in text] == []


@pytest.mark.skipif(find_spec("azure_functions_runtime") is None, reason="azure-functions-runtime is not installed")
def test_an_inbox_is_delivered_again_by_what_the_page_says(storage: Storage, tmp_path: Path) -> None:
    """Tried on a real inbox: the row is deleted, its notifications are delivered again, and it is what it was.

    The URL holds the secret: it is no argument, which the system shows to everyone.
    """
    (script,) = re.findall(r"^```python\n(.*?)^```$", OPERATIONS, re.DOTALL | re.MULTILINE)
    (tmp_path / "deliver.py").write_text(script, "utf-8")
    long = body("PUT", "Failed", eventTime="2026-03-01T11:00:00Z", error={"code": "X", "message": "m" * 40_000})
    settings = {"WEBHOOK_SECRET": "the-secret-of-the-tests", "STATE_STORAGE": storage.connection_string or ""}
    with (
        served(settings) as host,
        TableServiceClient.from_connection_string(storage.connection_string or "") as service,
    ):
        for sent in (body("PUT", "Accepted"), long):
            urlopen(host.with_secret(host.url), sent).close()
        rows = service.get_table_client("ManagedApplications")
        (before,) = rows.list_entities()
        inbox = [dict(each) for each in service.get_table_client("ManagedApplicationNotifications").list_entities()]
        (tmp_path / "inbox.json").write_text(json.dumps({"items": inbox, "nextMarker": {}}, default=str), "utf-8")
        rows.delete_entity(before)
        run = subprocess.run(
            [sys.executable, tmp_path / "deliver.py"],
            env={**os.environ, "WEBHOOK_URL": host.with_secret(host.url)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        (after,) = rows.list_entities()
        delivered = list(service.get_table_client("ManagedApplicationNotifications").list_entities())

    assert any("body1" in item for item in inbox)
    assert re.findall(r" (\w+)$", run.stdout, re.MULTILINE) == ["stored", "stored"]
    assert dict(after) == dict(before)
    assert len(inbox) == len(delivered)


def test_the_console_understands_what_is_to_be_typed() -> None:
    """A command that has another name by now is found when it is needed most."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    from typer.main import get_command  # noqa: PLC0415 - see above
    from typer.testing import CliRunner  # noqa: PLC0415 - see above

    from console.app import app  # noqa: PLC0415 - see above

    typed = re.findall(r"^managedapps (.+)$", OPERATIONS, re.MULTILINE)
    help_of = {each: CliRunner().invoke(app, [*shlex.split(each), "--help"]) for each in typed}

    assert len(typed) == 6
    assert {each for each, said in help_of.items() if said.exit_code != 0} == set()
    assert {"rebuild", "rejected", "export", "doctor"} <= set(get_command(app).commands)  # type: ignore[attr-defined] # a group
