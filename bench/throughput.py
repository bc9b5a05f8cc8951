"""Events per second and CPU per event of one worker, against two small handlers that upsert blindly."""

import statistics
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict

from bench import events
from bench.delay import distant
from bench.figures import Part, Spread, Table, ratio
from bench.orders import Delivered
from bench.progress import Progress
from bench.subject import Kind, create_tables, subject
from tools.azurite import Azurite

DISTANCE = 10
"""Milliseconds that storage is away."""

LIVES = {1: 6, 8: 32, 64: 192}
"""How many lives are delivered in a round, by how many are in flight."""

ROUNDS = 10

KINDS: dict[Kind, str] = {
    "webhook": "webhook",
    "blind_async": "blind upsert, async client",
    "blind_sync": "blind upsert, sync client, default thread pool",
}


def measure(progress: Progress, azurite: Azurite) -> Part:
    """Deliver whole lives to each, turn by turn."""
    create_tables(azurite.connection_string)
    found: dict[tuple[int, Kind], list[Delivered]] = defaultdict(list)
    with ExitStack() as stack:
        storage = stack.enter_context(distant(azurite.port, DISTANCE / 1000)).connection_string
        subjects = [stack.enter_context(subject(kind, storage)) for kind in KINDS]
        for number in progress.rounds(ROUNDS, "throughput"):
            for in_flight, lives in LIVES.items():
                bodies = [events.life(f"throughput-{number}-{in_flight}-{life}") for life in range(lives)]
                turn = number % len(subjects)  # nobody always goes first
                for each in subjects[turn:] + subjects[:turn]:
                    found[in_flight, each.kind].append(each.deliver(bodies, in_flight))
            if number < 0:
                found.clear()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    rows = []
    for in_flight in LIVES:
        by_kind = figures[str(in_flight)] = {kind: _sum_up(found[in_flight, kind]) for kind in KINDS}
        base = by_kind["blind_async"].copy()
        for kind, text in KINDS.items():
            one = by_kind[kind]
            one["throughput_ratio"] = ratio(one["events_per_second"], base["events_per_second"])
            one["cpu_ratio"] = ratio(one["cpu_ms_per_event"], base["cpu_ms_per_event"])
            rows.append(
                [
                    f"{in_flight} in flight: {text}",
                    f"{one['events_per_second']:.0f}",
                    f"{one['throughput_ratio']:.2f}",
                    f"{one['cpu_ms_per_event']:.2f}",
                    f"{one['cpu_ratio']:.2f}",
                    f"{one['median_ms']:.1f}",
                    f"{one['p99_ms']:.1f}",
                ]
            )
    head = ["", "events/s", "ratio", "CPU ms/event", "ratio", "median ms", "p99 ms"]
    return Part(
        {"rounds": len(found[1, "webhook"]), "distance_ms": DISTANCE, "by_in_flight": figures},
        [Table(f"Throughput of one worker, storage {DISTANCE} ms away", head, rows)],
    )


def _sum_up(rounds: list[Delivered]) -> dict[str, float]:
    events_per_second = statistics.median(len(each["latencies"]) / each["seconds"] for each in rounds)
    cpu = statistics.median(each["cpu_seconds"] / len(each["latencies"]) for each in rounds)
    spread = Spread.of([seconds for each in rounds for seconds in each["latencies"]])
    return {
        "events_per_second": round(events_per_second, 1),
        "cpu_ms_per_event": round(cpu * 1000, 3),
        **asdict(spread),
    }
