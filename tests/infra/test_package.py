"""The package that azd deploys: what .funcignore leaves, and that it runs with nothing but requirements.txt.

azd and Core Tools read .funcignore with the syntax of .gitignore, and leave out local.settings.json in any case.
https://learn.microsoft.com/azure/developer/azure-developer-cli/service-packaging-ignore-files
"""

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

pytest.importorskip("pathspec", reason="pathspec is not installed")

from pathspec import PathSpec

ROOT = Path(__file__).resolve().parents[2]

NEEDED = {"function_app.py", "host.json", "requirements.txt"}
LEFT_BEHIND = (
    "local.settings.json",
    ".env",
    ".venv/pyvenv.cfg",
    ".venv/lib/python3.13/site-packages/pip/__init__.py",
    "checkout_env/pyvenv.cfg",  # azd restore makes one, named after the folder
    ".azure/production/.env",
    ".azurite/__azurite_db_table__.json",
    "__azurite_db_table__.json",
    "webhook/__pycache__/receive.cpython-313.pyc",
    "managed_application_webhook.egg-info/PKG-INFO",
    "build/lib/webhook/receive.py",
    ".git/config",
    ".vscode/settings.json",
    ".coverage",
    "htmlcov/index.html",
)
"""What lies about in a folder that somebody works in."""

WHERE_PACKAGES_GO = ("--python-platform", "x86_64-manylinux_2_31", "--only-binary", ":all:")
"""The machine that Azure builds on, Debian 11, where there is no compiler to count on."""

IMPORT = (
    "import sys; sys.path[:0] = sys.argv[1:]; import function_app;"
    "print([each.get_function_name() for each in function_app.app.get_functions()])"
)


def zipped(folder: Path, to: Path) -> list[str]:
    """Make the package of a folder as azd does, and give the names in it."""
    ignored = PathSpec.from_lines("gitignore", (folder / ".funcignore").read_text("utf-8").splitlines())
    with ZipFile(to, "w", ZIP_DEFLATED) as package:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not ignored.match_file(name):
                package.write(path, name)
        return package.namelist()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Give the unpacked package of a copy of this folder in which somebody has worked."""
    copy = tmp_path / "copy"
    generated = (".git", ".venv", ".azurite", ".*_cache", ".hypothesis", "__pycache__", "local.settings.json")
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*generated))
    for name in LEFT_BEHIND:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("")
    zipped(copy, tmp_path / "package.zip")
    with ZipFile(tmp_path / "package.zip") as made:
        made.extractall(tmp_path / "package")
    return tmp_path / "package"


def test_the_package_holds_what_the_function_needs_and_nothing_else(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No tests, tools, samples, settings of this machine or environment: nothing that is not needed there."""
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    modules = {f"webhook/{path.name}" for path in (ROOT / "webhook").glob("*.py")}
    size = (package.parent / "package.zip").stat().st_size

    assert files == NEEDED | modules
    with capsys.disabled():
        print(f" the package: {len(files)} files, {size / 1024:.1f} KiB zipped ", end="")  # noqa: T201 - for the log
    assert size < 64 * 1024


def uv(*arguments: str | Path) -> None:
    """Run uv, or skip where it is not installed."""
    if find_spec("uv") is None:
        pytest.skip("uv is not installed")
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True)


def test_the_package_runs_with_nothing_but_its_requirements(package: Path, tmp_path: Path) -> None:
    """A package that is only there in development would be missing for the first time in Azure."""
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    uv("venv", "--python", sys.executable, tmp_path / "venv")
    uv("pip", "install", "--python", python, "-r", package / "requirements.txt")

    imported = subprocess.run(
        [python, "-I", "-c", IMPORT, package], capture_output=True, text=True, check=False, env={}, cwd=tmp_path
    )

    assert imported.stderr == ""
    assert imported.stdout.strip() == "['resource']"


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_pinned_requirements_install_on_whichever_python_builds(python: str, tmp_path: Path) -> None:
    """Remote builds have been seen to use 3.11 for an app that runs on 3.13; that must not end in half a build."""
    uv(
        *("pip", "install", "--target", tmp_path, "--python-version", python, *WHERE_PACKAGES_GO),
        *("-r", ROOT / "requirements.txt"),
    )

    (functions,) = tmp_path.glob("azure_functions-*.dist-info")
    assert functions.name.startswith("azure_functions-1" if python < "3.13" else "azure_functions-2")


@pytest.mark.skipif(sys.platform != "linux", reason="the packages are those for Linux")
@pytest.mark.skipif(sys.version_info[:2] != (3, 13), reason="what is deployed runs on Python 3.13")
def test_a_build_with_another_python_fails_loudly_and_not_halfway(package: Path, tmp_path: Path) -> None:
    """The app is then without its function: 404 to every call, by which hook postdeploy knows it and fails."""
    outcomes = {}
    for python in ("3.11", "3.13"):
        packages = tmp_path / python
        uv(
            *("pip", "install", "--target", packages, "--python-version", python, *WHERE_PACKAGES_GO),
            *("-r", ROOT / "requirements.txt"),
        )
        imported = subprocess.run(
            [sys.executable, "-I", "-S", "-c", IMPORT, package, packages], capture_output=True, text=True, check=False
        )
        outcomes[python] = (imported.returncode, imported.stdout.strip(), imported.stderr[-200:])

    assert outcomes["3.13"] == (0, "['resource']", "")
    assert outcomes["3.11"][0] != 0
    assert "ImportError" in outcomes["3.11"][2]


def test_the_way_around_a_wrong_build_is_the_one_that_was_tried() -> None:
    """The command in docs/operations.md is the one that the tests above install with."""
    text = (ROOT / "docs/operations.md").read_text("utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"uv pip install --target [^\n]+", text)

    assert command.split()[3:] == [
        *("--target", ".python_packages/lib/site-packages", "--python-version", "3.13", *WHERE_PACKAGES_GO),
        *("-r", "requirements.txt"),
    ]
