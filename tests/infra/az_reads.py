"""Has the Azure CLI read command lines, one after the other in one process, in an environment of its own.

Standard input: a JSON list of command lines, each a list without `az`. Standard output: for each, what the CLI said.
It is not signed in: a command line that it understands ends with its asking for `az login`, and nothing is contacted.
"""

import contextlib
import io
import json
import sys

from azure.cli.core import get_default_cli


def main() -> None:
    """Read each, and write down what is said."""
    said = []
    with contextlib.redirect_stderr(
        io.StringIO()
    ) as errors:  # one for all: the CLI's logging keeps the first that it sees
        for command in json.load(sys.stdin):
            before = errors.tell()
            with contextlib.suppress(SystemExit):
                get_default_cli().invoke(command, out_file=io.StringIO())
            said.append(errors.getvalue()[before:])
    json.dump(said, sys.stdout)


main()
