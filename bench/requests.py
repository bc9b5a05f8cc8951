"""How many requests an event sends to storage, by its kind: counted by a relay in between, not by the app."""

import json
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from bench import events
from bench.delay import distant
from bench.figures import Part, Table
from bench.progress import Progress
from bench.subject import SECRET, create_tables, subject
from tools.azurite import Azurite

ROUNDS = 50

KINDS = {
    "blind_async": "one blind upsert, as a function",
    "first": "first event",
    "warm": "later event, warm instance",
    "cold": "later event, cold instance",
    "stale": "later event, another instance wrote since",
    "duplicate": "duplicate, warm instance",
    "superseded": "superseded event, warm instance",
    "invalid": "invalid body, which is kept",
    "refused": "wrong secret",
}


def measure(progress: Progress, azurite: Azurite) -> Part:
    """Count for every kind of event."""
    create_tables(azurite.connection_string)
    found: dict[str, list[int]] = defaultdict(list)
    with ExitStack() as stack:
        storage = stack.enter_context(distant(azurite.port, 0))
        warm, cold, blind = (
            stack.enter_context(subject(kind, storage.connection_string))
            for kind in ("webhook", "webhook", "blind_async")
        )

        def count(kind: str, deliver: Callable[[], object]) -> None:
            before = storage.requests()
            deliver()
            found[kind].append(storage.requests() - before)

        for number in progress.rounds(ROUNDS, "requests"):
            name = f"requests-{number}"
            put, done, patch, deleting, _ = ([[body]] for body in events.life(name))
            late, invalid = [[events.body(name, events.LATE)]], [[json.dumps({"number": number})]]
            count("blind_async", partial(blind.deliver, put))
            count("first", partial(warm.deliver, put))
            count("warm", partial(warm.deliver, done))
            count("duplicate", partial(warm.deliver, done, outcome="duplicate"))
            count("superseded", partial(warm.deliver, late, outcome="superseded"))
            count("cold", partial(cold.deliver, patch))
            count("stale", partial(warm.deliver, deleting))
            count("invalid", partial(warm.deliver, invalid, status=400))
            count("refused", partial(warm.deliver, put, secret=SECRET[::-1], status=401))
            if number < 0:  # the tables are made
                found.clear()
    means = {kind: sum(found[kind]) / len(found[kind]) for kind in KINDS}
    rows = [[text, f"{means[kind]:.2f}", str(max(found[kind]))] for kind, text in KINDS.items()]
    return Part(
        {"rounds": len(found["first"]), "requests": means},
        [Table("Requests to storage per event", ["", "mean", "most"], rows)],
    )
