"""How long one event takes, by its kind and by the distance of storage, against one blind upsert of the bare SDK."""

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict

from bench import events
from bench.delay import distant
from bench.figures import Part, Spread, Table, ratio
from bench.progress import Progress
from bench.subject import create_tables, subject
from tools.azurite import Azurite

DISTANCES = (0, 5, 10, 50)
"""Milliseconds that storage is away, in a round trip, beyond what it takes itself."""

ROUNDS = 120

KINDS = {
    "upsert": "one blind upsert, bare",
    "blind_async": "one blind upsert, as a function",
    "first": "first event",
    "warm": "later event, warm instance",
    "cold": "later event, cold instance",
    "duplicate": "duplicate",
    "superseded": "superseded event",
}


def measure(progress: Progress, azurite: Azurite) -> Part:
    """Measure every kind of event at every distance."""
    create_tables(azurite.connection_string)
    figures = {str(distance): _at(distance, progress, azurite) for distance in DISTANCES}
    spreads = {
        distance: {kind: Spread.of(times) for kind, times in found.items()} for distance, found in figures.items()
    }
    rows = [
        [
            text,
            *(
                f"{ratio(spreads[distance][kind].median_ms, spreads[distance]['upsert'].median_ms):.2f}"
                f" ({spreads[distance][kind].median_ms:.1f}, {spreads[distance][kind].p99_ms:.1f})"
                for distance in spreads
            ),
        ]
        for kind, text in KINDS.items()
    ]
    head = ["times one blind upsert (ms: median, p99)", *(f"{distance} ms away" for distance in spreads)]
    kept = {
        distance: {
            kind: {**asdict(spread), "ratio": ratio(spread.median_ms, found["upsert"].median_ms)}
            for kind, spread in found.items()
        }
        for distance, found in spreads.items()
    }
    rounds = {distance: len(found["first"]) for distance, found in figures.items()}
    return Part({"rounds": rounds, "by_distance_ms": kept}, [Table("Latency of one event, alone", head, rows)])


def _at(distance: int, progress: Progress, azurite: Azurite) -> dict[str, list[float]]:
    """Give the seconds of each kind of event, a figure a round."""
    found: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        storage = stack.enter_context(distant(azurite.port, distance / 1000)).connection_string
        upsert = stack.enter_context(subject("upsert", storage))
        blind = stack.enter_context(subject("blind_async", storage))
        warm, cold = (stack.enter_context(subject("webhook", storage)) for _ in range(2))
        for number in progress.rounds(ROUNDS, f"latency, {distance} ms away", warm_up=10):
            name = f"latency-{distance}-{number}"
            put, done, patch, *_ = events.life(name)
            late = events.body(name, events.LATE)
            turns = (  # each after one of another process, so that none finds the processor's caches warmer
                ("upsert", upsert, put, "stored"),
                ("first", warm, put, "stored"),
                ("blind_async", blind, put, "stored"),
                ("warm", warm, done, "stored"),
                ("upsert", upsert, done, "stored"),
                ("duplicate", warm, done, "duplicate"),
                ("blind_async", blind, done, "stored"),
                ("superseded", warm, late, "superseded"),
                ("upsert", upsert, patch, "stored"),
                ("cold", cold, patch, "stored"),
            )
            for kind, each, body, outcome in turns:
                found[kind] += each.deliver([[body]], outcome=outcome)["latencies"]
            if number < 0:  # connections are opened, tables and models made
                found.clear()
    return found
