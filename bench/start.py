"""What a new instance costs: its import, its first answer and its memory, against the packages it is made of."""

import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict

from bench import events
from bench.delay import ROOT
from bench.figures import Part, Spread, Table, ratio
from bench.progress import Progress
from bench.subject import Kind, create_tables, subject
from tools.azurite import Azurite

ROUNDS = 20
MIB = 1024 * 1024

PACKAGES = "import azure.functions; from pydantic import BaseModel; import azure.data.tables.aio"
IMPORTS = {
    "python": ("nothing but Python", "pass"),
    "packages": ("the bare packages", PACKAGES),
    "webhook": ("the webhook", "import function_app"),
}
HANDLERS: dict[Kind, str] = {
    "webhook": "the webhook",
    "blind_async": "blind upsert, async client",
    "blind_sync": "blind upsert, sync client",
}


def measure(progress: Progress, azurite: Azurite) -> Part:
    """Start fresh processes, turn by turn."""
    create_tables(azurite.connection_string)
    imports: dict[str, list[float]] = defaultdict(list)
    first: dict[Kind, dict[str, list[float]]] = {kind: defaultdict(list) for kind in HANDLERS}
    for number in progress.rounds(ROUNDS, "cold start"):
        for name, (_, code) in IMPORTS.items():
            imports[name].append(_seconds(code))
        for kind in HANDLERS:
            with subject(kind, azurite.connection_string) as fresh:
                delivered = fresh.deliver([[events.life(f"start-{number}-{kind}")[0]]])
            first[kind]["indexing"].append(fresh.indexing)
            first[kind]["first"].append(delivered["latencies"][0])
            first[kind]["memory"].append(delivered["peak_memory"] / MIB)
        if number < 0:  # modules are compiled, tables made
            imports.clear()
            first = {kind: defaultdict(list) for kind in HANDLERS}
    spreads = {name: Spread.of(times) for name, times in imports.items()}
    base = spreads["packages"].median_ms
    answered = {
        kind: {
            "indexing_ms": Spread.of(times["indexing"]).median_ms,
            "first_event_ms": Spread.of(times["first"]).median_ms,
            "peak_memory_mib": round(statistics.median(times["memory"]), 1),
        }
        for kind, times in first.items()
    }
    return Part(
        {
            "rounds": len(imports["webhook"]),
            "import": {
                name: {"median_ms": each.median_ms, "p99_ms": each.p99_ms, "ratio": ratio(each.median_ms, base)}
                for name, each in spreads.items()
            },
            "first_event": answered,
        },
        [
            Table(
                "Cold start: a fresh process that imports",
                ["", "median ms", "p99 ms", "ratio"],
                [
                    [text, f"{each.median_ms:.0f}", f"{each.p99_ms:.0f}", f"{each.median_ms / base:.2f}"]
                    for (text, _), each in zip(IMPORTS.values(), spreads.values(), strict=True)
                ],
            ),
            Table(
                "Cold start: a fresh worker under the runtime",
                ["", "indexing ms", "first event ms", "peak memory MiB"],
                [
                    [
                        text,
                        f"{answered[kind]['indexing_ms']:.0f}",
                        f"{answered[kind]['first_event_ms']:.1f}",
                        f"{answered[kind]['peak_memory_mib']:.1f}",
                    ]
                    for kind, text in HANDLERS.items()
                ],
            ),
        ],
    )


def _seconds(code: str) -> float:
    # as where the app is deployed: its modules are compiled once, not at every start
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)
    return time.perf_counter() - started
