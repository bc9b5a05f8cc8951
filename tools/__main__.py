"""The command line of these tools: `python -m tools --help`.

Reads the command line and checks the Python that runs it, and never does more than that: the rest is for `commands.py`.
Until the version is checked, this file must be readable by Python 3.8, so that an old one gives a line to act on
instead of a syntax error.
"""

from __future__ import annotations  # `list[str]` is new in 3.9

import argparse
import sys

OLDEST = (3, 13)
PARTS = ("latency", "requests", "throughput", "start", "growth", "console")  # of the benchmark

DESCRIPTION = "Runs, tests and checks this project on one machine. Sets up .venv first where that is needed."

EXAMPLES = """\
examples:
  python -m tools run                    serve the function at http://127.0.0.1:7071/api/resource
  python -m tools run --port 8080        ... on another port
  python -m tools demo                   replay a customer's life cycle, and show the tables
  python -m tools test -k secret         run the tests whose names match; all options are pytest's
  python -m tools check                  what has to pass before a commit
  python -m tools soak --customers 200   customers of a simulated Marketplace, in a storm of faults
  python -m tools bench                  measure, a few minutes; the figures go to bench/results.json
  python -m tools bench latency --quick  ... one part, with few rounds; nothing is written
  python -m tools bench console          what the console takes with 100,000 applications; 20 minutes
  python -m tools lock --upgrade         compile requirements*.txt anew, with the newest versions

exit status: 0 all went well; 1 something failed, and a line says what to do; 2 wrong usage;
130 or 143 stopped by Ctrl-C or SIGTERM before it was done. To stop `run` while it serves is its regular end: 0.
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; `rest` is what is left for pytest. Wrong usage ends the process with status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m tools",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True

    run = commands.add_parser("run", help="serve the function and Azurite until Ctrl-C")
    run.add_argument("--port", type=port, default=7071, help="of the function; default: %(default)s")
    run.add_argument("--table-port", type=port, default=10002, help="of Azurite; default: %(default)s")

    commands.add_parser("demo", help="replay a customer's life cycle and show what is stored")
    commands.add_parser("test", help="run pytest; all further arguments are pytest's", add_help=False)
    commands.add_parser("check", help="ruff, mypy --strict, and pytest with full branch coverage of webhook/")
    commands.add_parser(
        "soak", help="a Marketplace, killed instances, failing storage: is anything lost?", add_help=False
    )
    bench = commands.add_parser("bench", help="measure what a call costs, and the console; see docs/performance.md")
    bench.add_argument("parts", nargs="*", metavar="PART", help="of " + ", ".join(PARTS) + "; default: all but console")
    bench.add_argument("--quick", action="store_true", help="a tenth of the rounds, and nothing is written")
    bench.add_argument(
        "--applications", type=int, nargs="+", default=[], metavar="N", help="for growth and console: how many"
    )
    commands.add_parser("setup", help="only set up .venv")
    lock = commands.add_parser("lock", help="compile requirements.txt, requirements-dev.txt and Azurite's lock")
    lock.add_argument("--upgrade", action="store_true", help="take the newest versions instead of keeping pins")

    options, rest = parser.parse_known_args(arguments)
    if rest and options.command not in ("test", "soak"):
        parser.error("unrecognized arguments: " + " ".join(rest))
    if options.command == "bench" and set(options.parts) - set(PARTS):
        parser.error("unknown part: " + ", ".join(sorted(set(options.parts) - set(PARTS))))
    options.rest = rest
    return options


def port(text: str) -> int:
    """Read a port number."""
    number = int(text)
    if not 0 < number < 65536:  # noqa: PLR2004 - ports have 16 bits
        raise ValueError(text)
    return number


def main(arguments: list[str]) -> int:
    """Run a command, and give the exit status."""
    options = parse(arguments)
    if sys.version_info < OLDEST:
        print(
            "This needs Python {}.{} or newer, and {} is {}.{}. Install one, or name one: "
            "`make {} PYTHON=/path/to/python3.13`.".format(
                *OLDEST, sys.executable, sys.version_info[0], sys.version_info[1], options.command
            ),
            file=sys.stderr,
        )
        return 1

    from tools import commands  # noqa: PLC0415 - written for newer Pythons than this file

    return commands.main(options, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
