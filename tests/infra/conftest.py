"""What the tests of the infrastructure share: programs that are too large to be installed for everyone."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

Borrow = Callable[[str], list[str]]
"""From a package of the group `infra` in pyproject.toml to the beginning of a command that has it."""

AzSays = Callable[[Sequence[Sequence[str]]], list[str]]
"""From command lines without `az` to what the Azure CLI says to each."""


def _pin(package: str) -> str:
    group: Sequence[str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]["infra"]
    (pin,) = [each for each in group if each.split("=")[0].split("[")[0] == package]
    return pin


@pytest.fixture(scope="session")
def borrow() -> Borrow:
    """Give what runs a program in an environment of its own, which uv makes once and keeps in its cache."""
    if find_spec("uv") is None:
        pytest.skip("uv is not installed")

    def command(package: str) -> list[str]:
        prefix = [sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--python", sys.executable]
        prefix += ["--with", _pin(package)]
        made = subprocess.run([*prefix, "python", "-c", ""], capture_output=True, text=True, check=False)
        if made.returncode != 0 and "CI" not in os.environ:
            pytest.skip(f"{package} could not be installed: is the network there?")
        assert made.returncode == 0, made.stderr
        return prefix

    return command


@pytest.fixture
def az_says(borrow: Borrow, tmp_path: Path) -> AzSays:
    """Give what asks the real Azure CLI, which is not signed in and contacts nothing, about command lines."""

    def ask(commands: Sequence[Sequence[str]]) -> list[str]:
        run = subprocess.run(
            [*borrow("azure-cli"), "python", Path(__file__).with_name("az_reads.py")],
            input=json.dumps(commands),
            env={**os.environ, "AZURE_CONFIG_DIR": str(tmp_path / "azure"), "AZURE_CORE_COLLECT_TELEMETRY": "no"},
            capture_output=True,
            text=True,
            check=True,
        )
        said: list[str] = json.loads(run.stdout)
        return said

    return ask
