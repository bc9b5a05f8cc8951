"""What is installed where: the command on the publisher's machine, and nothing of it in Azure."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def names(lines: list[str]) -> set[str]:
    """Give the names of packages in lines of requirements."""
    return {match[0].lower() for line in lines if (match := re.match(r"[\w.-]+", line))}


EXTRAS = {extra: names(lines) for extra, lines in PROJECT["project"]["optional-dependencies"].items()}
EXTRA = set.union(*EXTRAS.values())


def test_the_function_installs_nothing_of_the_console() -> None:
    """Each package more makes a cold start longer."""
    deployed = names((ROOT / "requirements.txt").read_text("utf-8").splitlines())

    assert not deployed & (EXTRA | {"click", "pygments", "shellingham"})
    assert not names(PROJECT["project"]["dependencies"]) & EXTRA


def test_the_console_is_not_deployed() -> None:
    """What `pip install .` leaves in a clone is not deployed either."""
    patterns = (ROOT / ".funcignore").read_text("utf-8").splitlines()

    for name in ("console", "build", "managed_application_webhook.egg-info"):
        assert any(fnmatch(name, pattern) for pattern in patterns), name


@pytest.mark.parametrize("package", ["jinja2", "pyarrow", "rich", "typer"])
def test_the_development_environment_has_what_the_extras_ask_for(package: str) -> None:
    """At an exact version, like everything there."""
    lines = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()

    assert package in EXTRA
    assert [line for line in lines if re.fullmatch(rf"{package}==[\w.]+", line)]


def test_what_is_large_is_an_extra_of_its_own() -> None:
    """Most exports are CSV, and pyarrow is ten times as large as all the rest."""
    assert EXTRAS["parquet"] == {"pyarrow"}
    assert "pyarrow" not in EXTRAS["console"]


def test_what_is_built_is_the_console_and_what_it_reads_the_tables_with() -> None:
    """Tools and tests are of no use without the checkout."""
    assert PROJECT["tool"]["setuptools"]["packages"] == [
        "console",
        "console.marketplace",
        "console.publisher",
        "webhook",
    ]
    assert PROJECT["project"]["scripts"] == {"managedapps": "console.main:main"}


@pytest.mark.skipif(find_spec("uv") is None, reason="uv is not installed")
def test_the_wheel_holds_every_file_of_its_packages(tmp_path: Path) -> None:
    """`pip install ".[console]"` must bring the template of the report, and by itself setuptools takes only code."""
    source = tmp_path / "source"
    for name in ("console", "webhook"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    sources = {path.relative_to(source).as_posix() for path in source.glob("*/**/*") if path.is_file()}
    subprocess.run([sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "-o", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert "console/publisher/template/report.html" in packed
    assert packed == sources
