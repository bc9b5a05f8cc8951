"""`python -m tools lock`: requirements.txt, requirements-dev.txt and Azurite's package-lock.json, compiled anew.

The ranges are in pyproject.toml and tools/azurite/package.json; the files compiled from them hold exact versions, so
that what was tested is what is deployed. Versions that are locked stay unless asked otherwise. Never edits the ranges,
and writes no address of a package registry into a file.
"""

import sys

from tools import azurite
from tools.child import Child
from tools.problem import Problem
from tools.stopping import Stopping

OLDEST_PYTHON = "3.11"
"""The oldest that the app supports, as in pyproject.toml."""


def lock(stopping: Stopping, *, upgrade: bool) -> int:
    """Compile all three, and give the exit status. Raises Problem, Stopped."""
    newest = ["--upgrade"] if upgrade else []
    compile_ = [
        *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal"),
        *("--python-version", OLDEST_PYTHON, "--custom-compile-command", "python -m tools lock", *newest),
    ]
    binary = azurite.node()
    if binary is None:
        raise Problem(azurite.missing() or "")
    steps = {
        "requirements.txt": [*compile_, "--output-file", "requirements.txt"],
        "requirements-dev.txt": [
            *(*compile_, "--group", "dev", "--extra", "console", "--extra", "parquet"),
            *("--constraint", "requirements.txt", "--output-file", "requirements-dev.txt"),
        ],
        "tools/azurite/package-lock.json": [
            *(sys.executable, "-c", azurite.NPM, "update" if upgrade else "install", "--package-lock-only"),
            *("--prefix", "tools/azurite", "--omit-lockfile-registry-resolved"),
            *("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"),
        ],
    }
    for file, command in steps.items():
        print(f"Compiling {file} ...", flush=True)
        with Child(file, command, folder=azurite.ROOT) as child:
            if child.until_ended(stopping) != 0:
                print(child.last_words(), file=sys.stderr)
                raise Problem(f"{file} could not be compiled: is the network there, and are the ranges possible?")
    return 0
