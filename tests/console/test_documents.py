"""What README and docs/console.md say of the command, tried."""

import json
import random
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

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
    storage: Storage, managedapps: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the first that a publisher copies. Only the port is another one here, and time passes faster."""
    settings = {"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": storage.connection_string or ""}
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("STATE_STORAGE", settings["STATE_STORAGE"])
    with served(settings) as host:
        simulate, send = (
            shlex.split(line.replace(":7071", f":{host.port}").replace("$SECRET", SECRET))[1:]
            for line in re.findall(r"^\.venv/bin/managedapps .*$", README, re.MULTILINE)
        )
        simulated, sent = managedapps(simulate, "--speed", "100000"), managedapps(send)

    assert (simulated.status, sent.status) == (0, 0)
    assert simulated.out.splitlines()[-1] in README.splitlines()
    assert sent.out.splitlines()[-1] in PAGE.splitlines()


def test_the_page_names_every_option_and_no_other(managedapps: Run) -> None:
    """A table that has fallen behind is worse than none."""
    helps = managedapps("simulate", "--help").out + managedapps("send", "--help").out

    assert set(re.findall(r"(?<![\w-])--[a-z]+[a-z-]*", PAGE)) == set(re.findall(r"--[a-z-]+", helps)) - {"--help"}


def test_the_line_of_truth_that_is_shown_is_what_is_written() -> None:
    """Whoever reads it with a program starts from the example."""
    (shown,) = re.findall(r'^\{"customer".*$', PAGE, re.MULTILINE)

    assert json.loads(shown) == json.loads(lives(1, 1, SPAN)[0].truth.to_json())


def test_the_number_of_attempts_is_what_the_page_says() -> None:
    """Nobody counts them while they wait."""
    assert {1 + len(pauses(random.Random(seed))) for seed in range(300)} == {14, 15}
