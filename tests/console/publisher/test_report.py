"""The command `report`: what is in the page, and where it goes. How it behaves in a browser is for test_page to say."""

import base64
import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from console.publisher.figures import Figures
from console.publisher.row import Row
from console.publisher.timeline import steps
from tests.console.conftest import Run
from tests.console.publisher.conftest import Filled
from tests.console.publisher.stored import NOW, life, row
from webhook.entities import InboxEntry
from webhook.settings import Storage

ROOT = Path(__file__).parents[3]
SINCE = ("--since", "2025-01-01")
ERROR = {
    "code": "DeploymentFailed",
    "message": "It failed.",
    "details": [{"code": "Quota", "message": "Too much.", "details": [{"code": "Cores"}]}, {"message": "no code"}],
}
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>&amp;&lt;\"'`",
    "\u2028\u2029\u202eabc\u0000",
    "שלום עולם",
    "😀👩‍👩‍👧‍👦\ud83d",
    "${alert(1)}{{ 7 * 7 }}{% raw %}",
)


def rendered(rows: list[Row], lives: dict[str, list[InboxEntry]] | None = None) -> str:
    """Give a page of these applications, each with the life that bears its key, with errors as in ERROR."""
    pytest.importorskip("jinja2", reason="jinja2 is not installed: the console is an optional extra")
    from console.publisher import page  # noqa: PLC0415 - cannot be imported without it

    figures, lines = Figures(NOW, NOW - timedelta(days=30), timedelta(hours=2)), []
    for each in rows:
        stuck = figures.add_row(each)
        entries = (lives or {}).get(each.key, [])
        for entry in entries:
            figures.add_entry(entry)
        errors = {entry.order: page.error_line(ERROR) for entry in entries if entry.provisioning_state == "Failed"}
        lines.append(page.application(each, list(steps(entries)), errors, stuck))
    return "".join(page.render(figures.summary(), lines, len(lines)))


class _Parts(HTMLParser):
    """The texts of script and style elements, with their attributes, and all other texts."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[tuple[str, dict[str, str | None], str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._in: tuple[str, dict[str, str | None]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = (tag, dict(attrs)) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._in = None

    def handle_data(self, data: str) -> None:
        if self._in:
            self.parts.append((*self._in, data))
        else:
            self.text += data


def parsed(page: str) -> _Parts:
    """Take a page apart."""
    parser = _Parts()
    parser.feed(page)
    return parser


def data_of(page: str) -> list[dict[str, Any]]:
    """Give the applications that a page holds."""
    texts = [text for tag, attributes, text in parsed(page).parts if attributes.get("id") == "data"]
    return json.loads("".join(texts))  # type: ignore[no-any-return] # what the script makes of it


# What is in the page


def test_the_page_holds_every_application_with_its_life(filled: Filled, managedapps: Run, tmp_path: Path) -> None:
    """Told from what happened to the customers, newest event first."""
    file = tmp_path / "out" / "report.html"
    file.parent.mkdir()
    done = managedapps("report", "-o", str(file), SINCE)
    page = file.read_text("utf-8")
    found = data_of(page)
    truths = sorted(filled.population, key=lambda each: each.truth.event_time, reverse=True)

    assert (done.status, done.out) == (0, "")
    assert re.fullmatch(rf"Wrote {re.escape(str(file))}: 60 applications, \d+ KiB\.\n", done.err)
    assert [each["t"] for each in found] == [life.truth.event_time[:19].replace("T", " ") for life in truths]
    assert [[step[1] for step in each["y"]] for each in found] == [
        [f"{event.event_type} {event.provisioning_state}" for event in life.events] for life in truths
    ]
    for each, life_ in zip(found, truths, strict=True):
        errors = [json.loads(event.body).get("error") for event in life_.events if event.provisioning_state == "Failed"]
        shown = [step[3:] for step in each["y"] if step[1].endswith("Failed")]
        assert [bool(error) for error in errors] == [bool(error) for error in shown]
        assert [error["code"] for error in errors if error] == [error[0][0][1] for error in shown if error]
    assert [path.name for path in file.parent.iterdir()] == ["report.html"]


def test_the_figures_of_the_page_are_those_of_the_summary(filled: Filled, managedapps: Run) -> None:
    """Two commands that disagree help nobody; the page reads all notifications, the summary the recent ones."""
    since = ("--since", "2025-01-12")
    summary = json.loads(managedapps("summary", since, "--json").out)["deployments"]
    page = managedapps("report", "-o", "-", since).out

    assert f"{summary['succeeded']} of {summary['succeeded'] + summary['failed']} deployments" in page
    assert len(filled.population) == len(data_of(page))
    columns = re.findall(r"<title>(\d{4}-\d\d-\d\d): (\d+) succeeded, (\d+) failed</title>", page)
    if columns:
        days = {day: (int(one), int(other)) for day, one, other in columns if int(one) + int(other)}
        assert days == {day: (each["succeeded"], each["failed"]) for day, each in summary["days"].items()}


def test_a_life_cycle_says_how_long_things_took() -> None:
    """What took how long is told by the same rules as elsewhere, and the page's script adds nothing to it."""
    failed = row("a", "Failed", error=json.dumps(ERROR))
    lives = {failed.key: life("a", ("PUT Accepted", 0), ("PUT Failed", 6.2), ("PATCH Succeeded", 90))}
    (found,) = data_of(rendered([failed], lives))

    assert found["y"] == [
        ["2026-03-26 12:00:00", "PUT Accepted", None],
        [
            "2026-03-26 12:06:12",
            "PUT Failed",
            "in 6 min 12 s",
            [
                [0, "DeploymentFailed", "It failed."],
                [1, "Quota", "Too much."],
                [2, "Cores", None],
                [1, None, "no code"],
            ],
        ],
        ["2026-03-26 13:30:00", "PATCH Succeeded", "1h23m later"],
    ]
    assert found["c"] == "Quota, Cores"


def test_the_error_of_the_row_stands_for_one_that_the_inbox_lacks() -> None:
    """It is all that is known of the failure."""
    (found,) = data_of(rendered([row("a", "Failed", error=json.dumps(ERROR))]))

    assert found["y"] == []
    assert found["e"][0] == [0, "DeploymentFailed", "It failed."]


def test_a_long_error_is_shortened() -> None:
    """A page of 20,000 applications has to be opened; `managedapps show` has it in full."""
    error = {"code": "X" * 9_000, "message": "y" * 9_000, "details": [{"code": f"C{number}"} for number in range(500)]}
    (found,) = data_of(rendered([row("a", "Failed", error=json.dumps(error))]))

    assert len(found["e"]) == 20
    assert [len(text) for text in found["e"][0][1:]] == [100, 1_000]


def test_a_long_life_is_shown_from_its_end() -> None:
    """An application that is updated every hour for years must not make the page one that cannot be opened."""
    steps_ = [("PUT Accepted", 0.0), ("PUT Succeeded", 9.0), *(("PATCH Succeeded", 60.0 * n) for n in range(1, 601))]
    (found,) = data_of(rendered([row("a")], {row("a").key: life("a", *steps_)}))

    assert len(found["y"]) == 500
    assert found["y"][-1][0] == "2026-04-20 12:00:00"
    assert found["z"] == "102"


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_whatever_a_customer_writes_stays_text(hostile: str) -> None:
    """In names, plans, codes and messages: it ends no element, begins none, and is there as it was."""
    error = json.dumps({"code": hostile, "message": hostile})
    names: dict[str, Any] = {
        "resourceGroup": hostile,
        "planProduct": hostile,
        "planName": hostile,
        "planVersion": hostile,
    }
    rows = [row(hostile, "Failed", error=error, **names), row(hostile, "Accepted", age=timedelta(days=3), **names)]
    page = rendered(rows).encode("utf-8", "xmlcharrefreplace").decode()
    clean = parsed(rendered([row("a", "Failed", error='{"code":"b"}'), row("a", "Accepted", age=timedelta(days=3))]))

    assert [tag for tag, _ in parsed(page).tags if tag != "wbr"] == [tag for tag, _ in clean.tags if tag != "wbr"]
    assert {name for _, attributes in parsed(page).tags for name in attributes} == {
        name for _, attributes in clean.tags for name in attributes
    }
    for each in data_of(page):
        assert (each["n"], each["g"], each["p"], each["v"]) == (hostile,) * 4
    assert hostile.replace("\ud83d", "").replace("\u0000", "") in parsed(page).text.replace("\ufffd", "").replace(
        "\u0000", ""
    )


def test_only_the_pages_own_script_and_style_may_run() -> None:
    """And nothing may be loaded, or sent: the policy is the browser's to keep, whatever got past the escaping."""
    page = parsed(rendered([row()]))
    (policy,) = [each["content"] for tag, each in page.tags if each.get("http-equiv") == "Content-Security-Policy"]
    inline = [(tag, text) for tag, attributes, text in page.parts if attributes.get("type") != "application/json"]
    digests = {tag: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for tag, text in inline}

    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digests['style']}'; script-src 'sha256-{digests['script']}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert len(inline) == 2
    assert not [
        each
        for _, each in page.tags
        if {"src", "href", "style", "onclick"} & set(each) and each.get("href") != "#applications"
    ]


def test_the_page_of_nothing_is_a_page(storage: Storage, managedapps: Run, elsewhere: pytest.MonkeyPatch) -> None:
    """It says so, and how to get something."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    done = managedapps("report")

    assert done.status == 0
    assert "Wrote report.html: 0 applications" in done.err
    assert "the first notification makes one" in done.err
    assert data_of(Path("report.html").read_text("utf-8")) == []


@pytest.mark.usefixtures("filled")
def test_a_limit_lists_the_newest_and_counts_all(managedapps: Run) -> None:
    """A page has to be opened by a browser; what is left out is said."""
    everything, some = (
        managedapps("report", "-o", "-", SINCE).out,
        managedapps("report", "-o", "-", SINCE, "--limit", "7"),
    )

    assert data_of(some.out) == data_of(everything)[:7]
    assert "Wrote standard output: 7 applications" in some.err
    assert "These are the 7 with the newest events. Left out here, and counted above: 53." in some.out
    assert "Left out" not in everything
    assert "60 applications, as they stood" in some.out


# Where it goes


@pytest.mark.usefixtures("filled")
def test_a_page_that_is_there_is_replaced(managedapps: Run, tmp_path: Path) -> None:
    """As a job of every night does."""
    file = tmp_path / "report.html"
    file.write_text("old", "utf-8")
    managedapps("report", "-o", str(file))

    assert file.read_text("utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.usefixtures("filled")
def test_a_file_that_cannot_be_written_is_one_line(managedapps: Run, tmp_path: Path) -> None:
    """Before anything is read."""
    done = managedapps("report", "-o", str(tmp_path / "nowhere" / "report.html"))

    assert (done.status, done.out) == (1, "")
    assert done.err == f"managedapps: cannot write {tmp_path / 'nowhere' / 'report.html'}: No such file or directory\n"


def test_tables_that_cannot_be_read_leave_the_old_page(
    managedapps: Run, elsewhere: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Half a page would look like the whole one."""
    elsewhere.setenv(
        "STATE_STORAGE",
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:9/a;",
    )
    (tmp_path / "report.html").write_text("old", "utf-8")
    done = managedapps("report")

    assert done.status == 1
    assert "could not be reached" in done.err
    assert [(path.name, path.read_text("utf-8")) for path in tmp_path.iterdir()] == [("report.html", "old")]


@pytest.mark.skipif(sys.platform == "win32", reason="another Ctrl-C")
def test_ctrl_c_leaves_no_half_page(tmp_path: Path) -> None:
    """Neither under the name that was asked for nor beside it."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    (tmp_path / "report.html").write_text("old", "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        command = [sys.executable, "-m", "console", "report", "-o", str(tmp_path / "report.html")]
        command += ["--connection", f"AccountName=a;AccountKey=a2V5;TableEndpoint={endpoint};"]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 20
            while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.5)  # by now it waits for the tables
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)

    assert (process.returncode, err) == (
        130,
        f"Stopped by Ctrl-C after 0 rows and notifications: {tmp_path / 'report.html'} is as it was before.\n",
    )
    assert [(path.name, path.read_text("utf-8")) for path in tmp_path.iterdir()] == [("report.html", "old")]
