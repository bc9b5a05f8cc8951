"""The oldest Python that the app supports, with nothing installed but what is deployed, and pytest."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OLDEST = "python3.11"


def runs(python: str | None) -> bool:
    """Tell whether a Python is there and is more than a shim."""
    return bool(python) and subprocess.run([python or "", "-c", ""], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(sys.version_info < (3, 13), reason="this is what it would run itself")
@pytest.mark.skipif(find_spec("uv") is None, reason="uv is not installed")
@pytest.mark.skipif(not runs(shutil.which(OLDEST)), reason=f"{OLDEST} is not installed")
def test_plain_pytest_passes_on_the_oldest_python(tmp_path: Path) -> None:
    """Types and checks run on a newer Python do not notice what an older one cannot import."""
    uv = [sys.executable, "-m", "uv", "--quiet"]
    python = tmp_path / "bin" / "python"
    subprocess.run([*uv, "venv", "--python", shutil.which(OLDEST) or "", tmp_path], check=True)
    subprocess.run([*uv, "pip", "install", "--python", python, "-r", ROOT / "requirements.txt", "pytest"], check=True)

    tests = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert tests.returncode == 0, tests.stdout[-3_000:]
    assert re.search(r"\d{4} passed, \d+ skipped", tests.stdout)
    assert "azure-functions-runtime is not installed" in tests.stdout
