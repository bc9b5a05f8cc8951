"""Results that cannot be written, and Ctrl-C at any time: a line, and never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.console.publisher.conftest import ROOT
from tests.tools.conftest import needs_signals

STARTED = "import sys; sys.path.insert(0, sys.argv.pop(1)); from console.main import main; sys.exit(main())"


def command(*arguments: str) -> list[str]:
    """Give the words that run the command, in any folder."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    return [sys.executable, "-c", STARTED, str(ROOT), *arguments]


@pytest.mark.usefixtures("filled")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "--json"],
        ["list", "--csv"],
        ["show", "57"],
        ["summary"],
        ["report", "-o", "-"],
        ["export"],
        ["export", "--format", "csv"],
        ["export", "--format", "parquet"],
        ["rejected", "list", "--json"],
        ["rebuild", "--dry-run", "--json"],
        ["doctor"],
        ["url", "--app", "contoso", "--masked"],
    ],
    ids=" ".join,
)
def test_a_disk_that_is_full_is_a_line(arguments: list[str]) -> None:
    """Whoever redirects to a file must learn that it is not whole."""
    if "parquet" in arguments:
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: an optional extra")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(*arguments), stdout=full, stderr=subprocess.PIPE, encoding="utf-8", check=False, timeout=60
        )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "managedapps: cannot write the output: No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_an_output_that_is_closed_is_a_line() -> None:
    """`>&-` in a script of somebody's."""
    words = command("url", "--app", "contoso", "--masked")
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *words],  # noqa: S607 - any shell will do
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "managedapps: standard output is closed\n")


INTERRUPTED = """
import os, signal, sys
from importlib.abc import MetaPathFinder
module = sys.argv.pop(1)
class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""
"""Python code that presses Ctrl-C when a module is about to be loaded."""


@needs_signals
@pytest.mark.parametrize("module", ["console.app", "typer", "console.publisher.watch", "webhook.notification"])
def test_ctrl_c_while_it_starts_is_no_traceback(module: str) -> None:
    """Typed by mistake, and taken back at once."""
    python, option, _, *words = command("url", "--app", "contoso", "--masked")
    done = subprocess.run(
        [python, option, f"{INTERRUPTED}{STARTED}", module, *words], capture_output=True, encoding="utf-8", check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped.\n")
