"""What the console takes to read a great many applications, against the SDK's query for the same entities.

Every command is a process of its own, from its start to its end, and so is the query.
"""

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.delay import ROOT
from bench.figures import Part, Table, ratio
from bench.progress import Progress
from bench.start import MIB
from bench.table_service import table_service
from tools.problem import Problem
from webhook.tables import APPLICATIONS, INBOX

SIZES = (10_000, 100_000)
ROUNDS = 5

_STOPWATCH = ROOT / "bench" / "stopwatch.py"
_FILE = "{file}"


@dataclass(frozen=True, slots=True)
class Command:
    """Something to run.

    Attributes:
        words: after `python -m`; `{file}` is a new file.
        tables: that it reads, each once.
    """

    words: tuple[str, ...]
    tables: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called in tables and results."""
        module, *words = self.words
        if module != "console":
            return f"the SDK's query of {' and '.join(self.tables)}"
        return " ".join(words).removesuffix(f" --output {_FILE}")


def _console(words: str, *tables: str) -> Command:
    return Command(("console", *words.split()), tables)


QUERIES = tuple(Command(("bench.query", table), (table,)) for table in (APPLICATIONS, INBOX))
COMMANDS = (
    *(_console(words, APPLICATIONS) for words in ("list", "list --json", "list --csv")),
    *(
        _console(f"export {what} --format {format_} --output {_FILE}", table)
        for what, table in (("applications", APPLICATIONS), ("notifications", INBOX))
        for format_ in ("jsonl", "csv", "parquet")
    ),
    _console("summary --json --since 2000-01-01", APPLICATIONS, INBOX),
)


def measure(progress: Progress, sizes: Sequence[int] = SIZES) -> Part:
    """Run everything in turn, on so many applications at a time."""
    rounds = progress.number(ROUNDS)
    # one round to warm up is enough: what it is for is that modules are compiled
    found = {size: _on(size, range(-1 if size == sizes[0] else 0, rounds), progress) for size in sizes}
    head = ["", *(word for size in sizes for word in (f"{size:,}: s (ratio)", "CPU s (ratio)", "peak MiB"))]
    rows = [[each.name, *(word for by in found.values() for word in _words(by[each.name]))] for each in _in_order()]
    title = "Console: medians (ratio to the query of the same entities), by the number of applications"
    return Part({"rounds": rounds, "by_applications": found}, [Table(title, head, rows)])


def _on(size: int, rounds: range, progress: Progress) -> dict[str, dict[str, float]]:
    taken: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    each_round = [*QUERIES, *COMMANDS]
    turns = [
        (number, each_round[(number + place) % len(each_round)])  # nobody always goes first
        for number in rounds
        for place in range(len(each_round))
    ]
    with table_service(size) as service, TemporaryDirectory() as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "STATE_STORAGE": service.connection_string,
        }
        for number, command in progress.steps(turns, len(turns), f"console, {size:,} applications"):
            figures = run(command, Path(folder) / "export", environment)
            if number >= 0:
                taken[command.name].append(figures)
    return {each.name: _figures(each, taken) for each in each_round}


def _figures(command: Command, taken: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    def median(what: str, of: Command) -> float:
        return statistics.median(float(each[what]) for each in taken[of.name])

    queries = [query for query in QUERIES if query.tables[0] in command.tables]
    seconds, cpu = median("seconds", command), median("cpu_seconds", command)
    return {
        "median_s": round(seconds, 3),
        "ratio": ratio(seconds, sum(median("seconds", query) for query in queries)),
        "cpu_s": round(cpu, 3),
        "cpu_ratio": ratio(cpu, sum(median("cpu_seconds", query) for query in queries)),
        "peak_mib": round(max(each["peak_memory"] for each in taken[command.name]) / MIB, 1),
    }


def run(command: Command, file: Path, environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Run a command, and give what the stopwatch says.

    file: what it may write to; removed before.

    Raises Problem if it fails.
    """
    file.unlink(missing_ok=True)
    words = [word.replace(_FILE, str(file)) for word in command.words]
    done = subprocess.run(
        [sys.executable, "-I", "-S", _STOPWATCH, sys.executable, "-m", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
        start_new_session=True,  # Ctrl-C is for us to see, after this command at the latest
    )
    taken: Mapping[str, Any] = json.loads(done.stdout)
    if taken["status"] != 0:
        raise Problem(f"{command.name} ended with {taken['status']}: {done.stderr.strip()}")
    return taken


def _words(figures: Mapping[str, float]) -> tuple[str, str, str]:
    return (
        f"{figures['median_s']:.2f} ({figures['ratio']:.2f})",
        f"{figures['cpu_s']:.2f} ({figures['cpu_ratio']:.2f})",
        f"{figures['peak_mib']:.0f}",
    )


def _in_order() -> list[Command]:
    """Give what was run with each query before what is compared with it."""
    return sorted((*QUERIES, *COMMANDS), key=lambda each: (len(each.tables), each.tables[0] == INBOX))
