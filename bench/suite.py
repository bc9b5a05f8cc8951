"""The benchmark, or parts of it: runs them, prints their tables and keeps their figures."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import console, growth, latency, requests, start, throughput
from bench.delay import ROOT
from bench.figures import Part, machine
from bench.progress import Progress
from bench.subject import azurite
from tools.azurite import Azurite
from tools.stopping import Stopping

RESULTS = ROOT / "bench" / "results.json"
QUICK = 0.1
"""Of the usual rounds, where only a glance is wanted."""


def _on_azurite(measure: Callable[[Progress, Azurite], Part]) -> Callable[[Progress, Sequence[int]], Part]:
    def on_its_own(progress: Progress, _sizes: Sequence[int]) -> Part:
        with azurite() as storage:
            return measure(progress, storage)

    return on_its_own


PARTS: Mapping[str, Callable[[Progress, Sequence[int]], Part]] = {
    "latency": _on_azurite(latency.measure),
    "requests": _on_azurite(requests.measure),
    "throughput": _on_azurite(throughput.measure),
    "start": _on_azurite(start.measure),
    "growth": lambda progress, sizes: growth.measure(progress, sizes or growth.SIZES),
    "console": lambda progress, sizes: console.measure(progress, sizes or console.SIZES),
}
USUAL = tuple(name for name in PARTS if name != "console")
"""What is run if nothing is named: the console takes longer than all the others together."""


def main(stopping: Stopping, parts: Sequence[str], sizes: Sequence[int], *, quick: bool) -> int:
    """Run parts, the usual ones if none is named; give the exit status.

    sizes: the numbers of applications for growth and the console; empty for the usual ones.
    quick: few rounds, and nothing is kept.

    Raises Problem or Stopped.
    """
    progress = Progress(stopping, QUICK if quick else 1)
    for name in parts or USUAL:
        on, started = machine(), time.monotonic()
        part = PARTS[name](progress, sizes)
        seconds = round(time.monotonic() - started)
        for table in part.tables:
            print(f"{table}\n")
        print(f"  ({name}: {seconds} s)\n", flush=True)
        if not quick:
            _keep(RESULTS, name, {**part.figures, "seconds": seconds, "measured": on})
    return 0


def _keep(file: Path, name: str, figures: Mapping[str, object]) -> None:
    """Replace the figures of one part in the file."""
    kept = json.loads(file.read_text("utf-8")) if file.exists() else {}
    file.write_text(json.dumps({**kept, name: figures}, indent=2) + "\n", "utf-8")
