"""What README and docs/console.md say of the command, tried."""

import json
import random
import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from console.marketplace.lives import lives
from console.marketplace.schedule import pauses
from tests.console.conftest import SECRET, Run
from tests.console.marketplace.test_lives import SPAN
from tools.stack import served
from webhook.settings import Storage

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGE = (ROOT / "docs" / "console.md").read_text("utf-8")


@pytest.mark.skipif(
    find_spec("azure_functions_runtime") is None, reason="azure-functions-runtime needs Python 3.13 or newer"
)
def test_the_commands_of_the_readme_end_as_it_says(
    storage: Storage, managedapps: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are the first that a publisher copies. Only the port is another one here, and time passes faster."""
    settings = {"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": storage.connection_string or ""}
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("STATE_STORAGE", settings["STATE_STORAGE"])
    with served(settings) as host:
        lines = [
            shlex.split(line.replace(":7071", f":{host.port}").replace("$SECRET", SECRET))[1:]
            for line in re.findall(r"^\.venv/bin/managedapps .*$", README, re.MULTILINE)
        ]
        simulated, sent = managedapps(lines.pop(0), "--speed", "100000"), managedapps(lines.pop(0))
    monkeypatch.chdir(tmp_path)
    seen = {line[0]: managedapps(line) for line in lines}

    assert [done.status for done in (simulated, sent, *seen.values())] == [0] * (2 + len(lines))
    assert re.sub(r"[\d,]+ not", "N not", simulated.out.splitlines()[-1]) in re.sub(r"[\d,]+ not", "N not", README)
    assert sent.out.splitlines()[-1] in PAGE.splitlines()
    assert list(seen) == ["list", "show", "summary", "report"]
    assert "/resourceGroups/contoso-analytics/" in seen["show"].out
    assert re.search(r"[\d.]+ % succeeded", seen["summary"].out)
    assert Path("report.html").exists()


def commands() -> dict[tuple[str, ...], set[str]]:
    """Give the options of every command, by its words."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    from typer.main import get_command  # noqa: PLC0415 - see above

    from console.app import app  # noqa: PLC0415 - see above

    found: dict[tuple[str, ...], set[str]] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while waiting:
        words, command = waiting.pop()
        if below := getattr(command, "commands", {}):
            waiting += [((*words, name), each) for name, each in below.items()]
        else:
            found[words] = {name for each in command.params for name in each.opts if name.startswith("--")}
    return found


def options(text: str) -> set[str]:
    """Give the options that a text names; not those of the Azure CLI."""
    own = "\n".join(re.sub(r"\baz \w.*?(\||$)", "", line) for line in text.splitlines())
    return set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", own))


def test_the_page_has_every_command_with_every_option_and_no_other() -> None:
    """A page that has fallen behind is worse than none."""
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
    everywhere = options(sections["Where the tables are"])
    for words, known in commands().items():
        # commands below another one share its section
        names = [f"managedapps {' '.join(words[:number])}" for number in (2, 1)]
        section = next(sections[name] for name in names if name in sections)
        assert known - {"--help"} <= options(section) | everywhere, words
    assert options(PAGE) <= set.union(*commands().values())


def test_every_link_of_the_page_leads_somewhere() -> None:
    """The table at its top is how a command is found."""
    anchors = {_anchor(heading) for heading in _headings(PAGE)}

    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\((?!https?:|#)([^)]+)\)", PAGE)):
        file = ROOT / "docs" / target
        assert file.exists(), target
        if anchor:
            assert anchor in {_anchor(heading) for heading in _headings(file.read_text("utf-8"))}, anchor


def _headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.*)$", text, re.MULTILINE)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_line_of_truth_that_is_shown_is_what_is_written() -> None:
    """Whoever reads it with a program starts from the example."""
    (shown,) = re.findall(r'^\{"customer".*$', PAGE, re.MULTILINE)

    assert json.loads(shown) == json.loads(lives(1, 1, SPAN)[0].truth.to_json())


def test_the_number_of_attempts_is_what_the_page_says() -> None:
    """Nobody counts them while they wait."""
    assert {1 + len(pauses(random.Random(seed))) for seed in range(300)} == {14, 15}
