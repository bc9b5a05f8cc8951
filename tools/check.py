"""`python -m tools test`, `check` and `soak`: what has to pass before a commit, and what takes longer.

Runs inside the environment. Never changes a file that is under version control.
"""

import os
import signal
import sys
from collections.abc import Sequence

from tools.azurite import ROOT
from tools.child import Child
from tools.stopping import Stopping

_STEPS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy --strict": ["mypy"],
    "tests": ["coverage", "run", "-m", "pytest"],
    "coverage of webhook/": ["coverage", "report"],
}


def test(arguments: Sequence[str], stopping: Stopping) -> int:
    """Run pytest, and give its exit status. Raises Stopped."""
    return _run("pytest", ["pytest", *arguments], stopping)


def soak(arguments: Sequence[str], stopping: Stopping) -> int:
    """Run the soak, and give its exit status. Raises Stopped."""
    return _run("the soak", ["tests.faults.soak", *arguments], stopping)


def check(stopping: Stopping) -> int:
    """Run all steps, also after one that fails, sum up, and give 0 if all passed. Raises Stopped."""
    failed = []
    for name, module in _STEPS.items():
        print(f"== {name}", flush=True)
        if _run(name, module, stopping) != 0:
            failed.append(name)
    print("==")
    for name in _STEPS:
        print(f"{'FAILED' if name in failed else 'passed'}  {name}")
    return 1 if failed else 0


def _run(name: str, module: Sequence[str], stopping: Stopping) -> int:
    """Run a module with its arguments. SIGINT ends it, so that pytest stops what its fixtures started."""
    environment = {**os.environ, "NO_COLOR": "1"} if os.environ.get("CI") else None
    with Child(
        name,
        [sys.executable, "-m", *module],
        folder=ROOT,
        environment=environment,
        quiet=False,
        end_by=signal.SIGINT,
    ) as child:
        return child.until_ended(stopping)
