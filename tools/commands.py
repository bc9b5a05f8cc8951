"""From the name of a command to the module that does it, and from what went wrong to a line and an exit status.

Runs twice: under the Python that the user has, to make the environment stand, then inside the environment. Never
imports, before that, what has to be installed.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from tools import check, environment, lock, run
from tools.problem import Problem
from tools.stopping import Stopped, Stopping, signals_noted


def main(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Do what the command line says, and give the exit status.

    options: the command line, read.
    arguments: the command line as it was, to be handed on.
    """
    ours = environment.Environment()

    def work(stopping: Stopping) -> int:
        environment.ready(ours, stopping)
        if options.command == "setup" or not ours.is_current():
            return 0
        return _command(options, stopping)

    status = concluded(work)
    if status == 0 and options.command != "setup" and not ours.is_current():
        environment.continue_inside(ours, arguments)
    return status


def concluded(work: Callable[[Stopping], int]) -> int:
    """Do some work, and turn what can stop it into a line on standard error and an exit status."""
    try:
        with signals_noted() as stopping:
            return work(stopping)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return 128 + stopped.signal


def _command(options: argparse.Namespace, stopping: Stopping) -> int:
    if options.command == "run":
        return run.run(stopping, port=options.port, table_port=options.table_port)
    if options.command == "test":
        return check.test(options.rest, stopping)
    if options.command == "soak":
        return check.soak(options.rest, stopping)
    if options.command == "check":
        return check.check(stopping)
    if options.command == "lock":
        return lock.lock(stopping, upgrade=options.upgrade)
    # By name, because these need what only the environment has.
    if options.command == "bench":
        suite = importlib.import_module("bench.suite")
        return int(suite.main(stopping, options.parts, options.applications, quick=options.quick))
    return int(importlib.import_module("tools.demo").main(stopping))
