"""`python -m tools` and `make`: which Python runs, and what is said where none can."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.azurite import ROOT

MAKE = shutil.which("make")
needs_make = pytest.mark.skipif(MAKE is None or os.name != "posix", reason="make is not installed")


def tools(*arguments: str, python: str = sys.executable, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `python -m tools` in a checkout."""
    return subprocess.run(
        [python, "-m", "tools", *arguments], cwd=folder, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def test_a_python_that_is_too_old_gets_one_line(old_python: str, checkout: Path) -> None:
    """The first thing that a newcomer can get wrong is answered with what to do, not with a traceback."""
    answer = tools("run", python=old_python, folder=checkout)

    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.count("\n") == 1
    assert answer.stderr.startswith("This needs Python 3.13 or newer, and ")
    assert "make run PYTHON=" in answer.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("file", ["__init__.py", "__main__.py"])
def test_an_old_python_can_read_what_tells_it_so(file: str) -> None:
    """A syntax error would hide the line that says what to do."""
    ast.parse((ROOT / "tools" / file).read_text("utf-8"), feature_version=(3, 8))


def test_help_shows_examples() -> None:
    """Whoever asks for help sees commands to copy, and what the exit statuses mean."""
    answer = tools("--help")

    assert answer.returncode == 0
    assert "python -m tools run --port 8080" in answer.stdout
    assert "exit status:" in answer.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run", "--port", "0"],
        ["run", "--port", "65536"],
        ["run", "--prot", "1"],
        ["demo", "x"],
        ["bench", "x"],
    ],
)
def test_wrong_usage_is_exit_status_2(arguments: list[str]) -> None:
    """Scripts tell a typing error from a failure."""
    answer = tools(*arguments)

    assert answer.returncode == 2
    assert answer.stderr.startswith("usage: python -m tools")


def choice(folder: Path, *arguments: str, **pythons: int) -> subprocess.CompletedProcess[str]:
    """Ask make what it would run, where these Pythons are on the PATH, each ending with the status given.

    `usr_bin_python3` stands for /usr/bin/python3. make itself gets no PATH but that.
    """
    programs = folder / "bin"
    programs.mkdir()
    for name, status in pythons.items():
        program = programs / name.replace("_", ".")
        program.write_text(f"#!/bin/sh\nexit {status}\n", "utf-8")
        program.chmod(0o755)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (folder / "Makefile").write_text(makefile.replace("/usr/bin/python3", str(programs / "usr.bin.python3")), "utf-8")
    environment = {"PATH": str(programs)}
    return subprocess.run(
        [str(MAKE), "-n", *arguments], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )


NEW, TOO_OLD, BROKEN = 0, 1, 127


@needs_make
@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3_14": NEW, "python3_13": NEW, "python3": NEW}, "python3.14"),
        ({"python3_14": BROKEN, "python3_13": NEW, "python3": NEW}, "python3.13"),
        ({"python3_14": BROKEN, "python3_13": BROKEN, "python3": NEW}, "python3"),
        ({"python3_13": BROKEN, "python3": TOO_OLD, "usr_bin_python3": NEW}, "usr.bin.python3"),
        ({"usr_bin_python3": NEW}, "usr.bin.python3"),
    ],
    ids=["newest", "a shim that does not run", "python3", "only the system's", "nothing on the PATH"],
)
def test_make_takes_the_first_python_that_runs_and_is_new_enough(
    pythons: dict[str, int], chosen: str, tmp_path: Path
) -> None:
    """A pyenv shim may exist and fail; the next Python is tried then."""
    answer = choice(tmp_path, "demo", **pythons)

    assert answer.stderr == ""
    assert answer.stdout.removeprefix("exec ").split(" -m ")[0].endswith(chosen)


@needs_make
def test_make_without_a_usable_python_says_so_in_one_line(tmp_path: Path) -> None:
    """Nothing is started, and the line says how to name a Python."""
    answer = choice(tmp_path, "test", python3=TOO_OLD, usr_bin_python3=BROKEN)

    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "No Python 3.13 or newer was found" in answer.stderr
    assert "make test PYTHON=" in answer.stderr


@needs_make
def test_make_takes_the_python_that_it_is_told(tmp_path: Path) -> None:
    """PYTHON wins over every search."""
    answer = choice(tmp_path, "run", "PYTHON=/opt/python", "PORT=8080", "TABLE_PORT=8081", python3=NEW)

    assert answer.stdout == "exec /opt/python -m tools run --port 8080 --table-port 8081\n"


@needs_make
def test_make_hands_options_to_pytest(tmp_path: Path) -> None:
    """`make test ARGS="-k secret"` runs the tests that match."""
    answer = choice(tmp_path, "test", "ARGS=-k 'secret or settings' -x", python3=NEW)

    assert answer.stdout == "exec python3 -m tools test -k 'secret or settings' -x\n"


@needs_make
def test_make_help_needs_no_python(tmp_path: Path) -> None:
    """Whoever has nothing yet can still read what there is."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    # of the make that may be running these tests, nothing: it would say which folders it enters and leaves
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    answer = subprocess.run(
        [str(MAKE), "PYTHON="], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False
    )

    assert answer.returncode == 0
    assert [line.split()[1] for line in answer.stdout.splitlines()] == [
        "run",
        "demo",
        "test",
        "check",
        "soak",
        "bench",
        "lock",
        "clean",
    ]
