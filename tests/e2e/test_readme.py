"""The README, tried: its commands run, its answers are those that are given, its names exist."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.conftest import SECRET, Webhook
from webhook.notification import Notification
from webhook.settings import SECRET as SECRET_SETTING
from webhook.settings import SECRET_PREVIOUS, STORAGE_CONNECTIONS

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """Give the code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def rows(heading: str) -> list[list[str]]:
    """Give the cells of the first table under a heading, without its head."""
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def secret_line() -> str:
    """Give the line that puts the secret into $SECRET."""
    (line,) = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("SECRET=")]
    return line


def test_every_command_is_tried_by_some_test() -> None:
    """A command that nobody runs stops working unnoticed: whoever adds one has to name its test here."""
    commands = {line for block in blocks("sh") for line in block.splitlines()}
    tried = {
        secret_line(): "here",
        "make demo": "here",
        'curl "http://127.0.0.1:7071/api/resource?secret=$SECRET" --data @samples/1-put-accepted.json': "here",
        "make run": "tests/tools",
        '.venv/bin/managedapps simulate --url "http://127.0.0.1:7071/api?secret=$SECRET" --customers 200 --start 30d'
        " --verify": "tests/console/test_documents.py",
        '.venv/bin/managedapps send samples/1-put-accepted.json --url "http://127.0.0.1:7071/api?secret=$SECRET"': (
            "tests/console/test_documents.py"
        ),
        ".venv/bin/managedapps list --failed": "tests/console/test_documents.py",
        ".venv/bin/managedapps show sales-insights": "tests/console/test_documents.py",
        ".venv/bin/managedapps summary": "tests/console/test_documents.py",
        ".venv/bin/managedapps report -o report.html": "tests/console/test_documents.py",
        **dict.fromkeys(
            (
                *("azd auth login", "az login", "azd env new webhook"),
                *("azd env set WEBHOOK_ALERT_EMAIL you@example.com", "azd up", "azd down --purge"),
            ),
            "cannot be had everywhere; tests/infra runs what azd would start",
        ),
        "make test": "what runs this",
        "make check": "what runs this in continuous integration",
        "cp local.settings.json.example local.settings.json": "tests/tools, as what make run does",
        "func start": "cannot be had everywhere; tests/tools has a stand-in",
    }
    assert commands == set(tried)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_the_secret_is_found_where_it_says(tmp_path: Path) -> None:
    """All commands after it use it."""
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": {SECRET_SETTING: SECRET}}), "utf-8")
    command = f'{secret_line()}; printf %s "$SECRET"'
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, capture_output=True, text=True)  # noqa: S607 - found above

    assert done.stdout == SECRET


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="needs curl and bash")
def test_the_curl_line_gives_the_answer_that_is_shown(webhook: Webhook) -> None:
    """It is the first thing that a newcomer tries."""
    (curl,) = [block for block in blocks("sh") if block.startswith("curl")]
    command = curl.replace("http://127.0.0.1:7071/api/resource", webhook.url)
    answers = [
        json.loads(
            subprocess.run(
                ["bash", "-c", command.replace("1-put-accepted", sample)],  # noqa: S607 - found above
                cwd=ROOT,
                env={**os.environ, "SECRET": SECRET},
                check=True,
                capture_output=True,
            ).stdout
        )
        for sample in ("1-put-accepted", "1-put-accepted", "3-put-succeeded", "2-put-failed")
    ]
    assert answers[0] == json.loads(blocks("json")[0])
    assert [(answer["outcome"], answer["provisioningState"]) for answer in answers] == [
        ("stored", "Accepted"),
        ("duplicate", "Accepted"),
        ("stored", "Succeeded"),
        ("superseded", "Succeeded"),
    ]


def test_the_refusal_is_the_one_that_is_shown(webhook: Webhook) -> None:
    """Whoever writes a client reads the example, not the RFC."""
    assert webhook.post(b'{"eventType": "PUT"}').content == json.loads(blocks("json")[1])


def test_the_worked_example_of_the_order_is_right(webhook: Webhook) -> None:
    """The rule is understood by this table; here it is played, key by key."""
    for sample, order, outcome, state in rows("Which event is the latest"):
        body = (ROOT / sample.strip("`")).read_bytes()
        assert Notification.from_body(body, now=datetime.now(UTC)).order == order.strip("`")
        answer = webhook.post(body).content
        assert (answer["outcome"], answer["provisioningState"]) == (outcome, state)


def test_the_log_line_that_is_shown_has_the_fields_that_are_written(webhook: Webhook) -> None:
    """Queries are written from the example."""
    webhook.post((ROOT / "samples/1-put-accepted.json").read_bytes())
    shown = json.loads(blocks("json")[2])
    (written,) = webhook.log(1)
    assert {name: type(value) for name, value in written.items()} == {
        name: type(value) for name, value in shown.items()
    }


def test_the_settings_are_those_that_are_read() -> None:
    """A name with a typing error costs the publisher an evening."""
    named = {name for cells in rows("Settings") for name in re.findall(r"`([A-Za-z_]+)`", cells[0])}
    storage = STORAGE_CONNECTIONS[0]
    assert named == {
        SECRET_SETTING,
        SECRET_PREVIOUS,
        *STORAGE_CONNECTIONS,
        *(f"{storage}__{part}" for part in ("accountName", "tableServiceUri", "credential", "clientId")),
    }


def test_the_statuses_are_those_that_are_given() -> None:
    """The table of answers is the contract with the Marketplace; the tests beside this one hold each of its rows."""
    assert [cells[1] for cells in rows("What it answers")] == ["200", "401", "400", "413", "500", "404"]


def test_every_link_leads_somewhere() -> None:
    """A dead link in the first file that people read is the last one that they read."""
    for document in (README, (ROOT / "samples/README.md").read_text("utf-8")):
        folder = ROOT if document is README else ROOT / "samples"
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document):
            assert (folder / target).exists(), target


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.skipif(sys.version_info < (3, 13), reason="needs Python 3.13 or newer")
def test_make_demo_replays_the_samples_and_ends_with_0() -> None:
    """It is the newcomer's second command, and the proof that the whole stands on this machine."""
    done = subprocess.run(
        ["make", "demo", f"PYTHON={sys.executable}"],  # noqa: S607 - found above
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.split("After\n")
    assert before.count(" 200 stored ") == 8
    assert before.count(" 200 superseded ") == 1
    assert before.count(" 200 duplicate ") == 9
    assert re.search(r"^ +sales-insights +Deleted +DELETE ", after, re.MULTILINE)
    assert re.search(r"^ +sales-insights-staging +Succeeded +PUT ", after, re.MULTILINE)
