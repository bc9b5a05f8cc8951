"""The soak, small enough for every run of the tests."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tools.azurite import missing

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(bool(missing()), reason=str(missing()))
@pytest.mark.skipif(find_spec("azure_functions_runtime") is None, reason="azure-functions-runtime is not installed")
@pytest.mark.skipif(find_spec("typer") is None, reason="the console's packages are not installed")
def test_a_small_soak_loses_nothing() -> None:
    """Killed instances and a storage that fails: in the end every row and every notification is the truth."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults.soak", "--customers", "15", "--speed", "300", "--between", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert run.returncode == 0, run.stdout[-3_000:] + run.stderr[-3_000:]
    assert run.stdout.endswith("Lost: nothing.\n")
    assert "times an instance was ended by SIGKILL" in run.stdout
    assert "0 times an instance" not in run.stdout
