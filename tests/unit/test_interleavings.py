"""Two and three writers on one row, in every schedule there is: not samples, all of them.

A writer is the coroutine `Recorder.update_row`. It is stepped by hand: each step lets one storage operation take effect
and runs on to the next one, which is all that writers can notice of each other. A schedule is the sequence of choices
whose turn it is; the tree of all schedules is walked depth first, each time anew from the start.
"""

import itertools
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import pytest

from tests.events import PLAN, notification
from tests.fake_store import FakeStore
from webhook.application import Application, join, merge
from webhook.notification import Notification
from webhook.record import Memory, Recorder
from webhook.store import Versioned

Writer = Coroutine[Any, None, tuple[Application, bool]]


class Turn:
    """Awaited, it gives the turn away once."""

    def __await__(self) -> Generator[None]:
        """Yield to whoever steps the writers."""
        yield


async def wait_for_turn(_what: object) -> None:
    """Let others go first, for as long as they like."""
    await Turn()


async def pass_at_once(_what: object) -> None:
    """Go on without giving the turn away."""


def event(minute: int, event_type: str, state: str, **changes: Any) -> Notification:  # noqa: ANN401 - JSON
    """Give a bare event at a minute past ten."""
    bare = {"plan": None, "billingDetails": None, "eventTime": f"2026-03-01T10:{minute:02}:00Z"}
    return notification(event_type, state, **(bare | changes))


OLDEST = event(0, "PUT", "Accepted")
NEWEST = event(30, "PATCH", "Succeeded")
EVENTS = {
    "Accepted": event(1, "PUT", "Accepted", plan=PLAN),
    "Accepted at once": event(1, "PUT", "Accepted"),
    "Succeeded": event(5, "PUT", "Succeeded", plan={**PLAN, "version": "2"}),
    "Failed at once": event(5, "PUT", "Failed", billingDetails={"resourceUsageId": "usage"}),
    "Deleted": event(9, "DELETE", "Deleted"),
}
ROWS: dict[str, list[Notification]] = {"no row": [], "older row": [OLDEST], "newer row": [NEWEST]}
MEMORIES = ("cold", "warm", "stale")


@dataclass
class Race:
    """Writers before a row: what is stored, what each remembers, and what each wants to record.

    Attributes:
        events: one a writer.
        stored: what went into the row before.
        memories: `cold`: the writer remembers nothing; `warm`: the row as it is, if there is one; `stale`: an older
            version of it, or a row that has been deleted since.
        sleep: what a writer does that pauses.
    """

    events: Sequence[Notification]
    stored: Sequence[Notification] = ()
    memories: Sequence[str] = ()
    sleep: Callable[[float], Coroutine[Any, Any, None]] = pass_at_once
    results: list[tuple[Application, bool] | None] = field(default_factory=list)

    def expected(self) -> Application:
        """Give the row of everything."""
        row = reduce(merge, [*self.stored, *self.events], None)
        assert row is not None
        return row

    def run(self, prefix: Sequence[int]) -> list[tuple[int, int]]:
        """Run one schedule: the given choices, then always the first writer; give each choice and out of how many."""
        store = FakeStore(wait_for_turn)
        key = self.events[0].application_id.inbox_partition_key
        past = reduce(merge, self.stored, None)
        if past:
            store.rows[key] = Versioned(past, "past")
        writers = {
            number: Recorder(store, self._memory(number, past), self.sleep, lambda: 1.0).update_row(each)
            for number, each in enumerate(self.events)
        }
        self.results = [None] * len(writers)
        for number in list(writers):  # up to the first operation, a writer touches nothing that is shared
            self._step(number, writers)
        choices: list[tuple[int, int]] = []
        while writers:
            choice = prefix[len(choices)] if len(choices) < len(prefix) else 0
            choices.append((choice, len(writers)))
            before = store.rows.get(key)
            self._step(list(writers)[choice], writers)
            after = store.rows.get(key)
            if before and after is not before:
                assert after, "the row disappeared"
                assert after.application.order >= before.application.order, "the row went back"
                assert after.application.first_order <= before.application.first_order, "the first event went forward"
                assert join(before.application, after.application) == after.application, "something got lost"
        assert store.rows[key].application == self.expected()
        return choices

    def _memory(self, number: int, past: Application | None) -> Memory:
        memory = Memory(lambda: 0.0)
        kind = self.memories[number] if self.memories else "cold"
        if kind == "warm" and past:
            memory.keep(Versioned(past, "past"))
        elif kind == "stale":
            memory.keep(Versioned(merge(None, OLDEST), "long past"))
        return memory

    def _step(self, number: int, writers: dict[int, Writer]) -> None:
        try:
            writers[number].send(None)
        except StopIteration as end:
            del writers[number]
            self.results[number] = end.value


def walk(race: Race) -> int:
    """Run a race in every schedule, and hold what must be true after each; the number of schedules."""
    prefix: list[int] = []
    for number in itertools.count(1):
        choices = race.run(prefix)
        for each, result in zip(race.events, race.results, strict=True):
            assert result, "a writer did not end"
            assert merge(result[0], each) == result[0], "a writer ended without having recorded its event"
        while choices and choices[-1][0] + 1 == choices[-1][1]:
            choices.pop()
        if not choices:
            return number
        prefix = [choice for choice, _ in choices[:-1]] + [choices[-1][0] + 1]
    raise AssertionError


def test_the_walk_visits_every_schedule_once() -> None:
    """A walk that missed branches would prove nothing: two writers of two steps each have six schedules."""
    seen: list[tuple[int, ...]] = []

    class Counted(Race):
        def run(self, prefix: Sequence[int]) -> list[tuple[int, int]]:
            choices = super().run(prefix)
            seen.append(tuple(choice for choice, _ in choices))
            return choices

    assert walk(Counted([EVENTS["Deleted"], EVENTS["Deleted"]], [EVENTS["Deleted"]])) == 2  # a read each
    assert seen == [(0, 0), (1, 0)]
    seen.clear()
    # a read and a replacement each; who loses reads again, and needs no second write as the event is the same
    assert walk(Counted([EVENTS["Deleted"], EVENTS["Deleted"]], [OLDEST])) == len(set(seen)) == 6


PAIRS = list(itertools.combinations_with_replacement(EVENTS, 2))


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize(("one", "other"), PAIRS, ids=[" & ".join(pair) for pair in PAIRS])
def test_two_writers_never_lose_an_event_in_any_schedule(one: str, other: str, row: str) -> None:
    """Two instances get two events of one application at the same moment, as they do when it is created."""
    schedules = [
        walk(Race([EVENTS[one], EVENTS[other]], ROWS[row], memories, sleep))
        for memories in itertools.product(MEMORIES, repeat=2)
        for sleep in (pass_at_once, wait_for_turn)
    ]

    assert min(schedules) >= 2
    assert sum(schedules) >= 60


@pytest.mark.parametrize(
    ("race", "schedules"),
    [
        pytest.param(Race([EVENTS["Accepted"], EVENTS["Accepted at once"]]), 2, id="two first events"),
        pytest.param(Race([EVENTS["Accepted"], EVENTS["Accepted"]]), 2, id="the same first event twice"),
        pytest.param(Race([EVENTS["Accepted"], EVENTS["Succeeded"]]), 3, id="first and second event"),
        pytest.param(Race([EVENTS["Succeeded"], EVENTS["Failed at once"]], [OLDEST]), 6, id="two later events"),
        pytest.param(
            Race([EVENTS["Succeeded"], EVENTS["Deleted"]], [OLDEST], ["warm", "warm"]), 2, id="two warm writers"
        ),
        pytest.param(
            Race([EVENTS["Succeeded"], EVENTS["Deleted"]], [NEWEST], ["stale", "stale"]), 20, id="two stale writers"
        ),
        pytest.param(
            Race([EVENTS["Succeeded"], EVENTS["Deleted"]], [OLDEST], sleep=wait_for_turn), 6, id="pauses that take time"
        ),
        pytest.param(
            Race([EVENTS["Accepted"], EVENTS["Succeeded"], EVENTS["Deleted"]]), 166, id="a life in one moment"
        ),
    ],
)
def test_the_number_of_schedules_is_known(race: Race, schedules: int) -> None:
    """If it fell, writers would have stopped meeting, and the other tests here would hold for nothing."""
    assert walk(race) == schedules


TRIPLES = [
    ("Accepted", "Succeeded", "Deleted"),
    ("Accepted", "Accepted at once", "Accepted"),
    ("Accepted", "Accepted at once", "Succeeded"),
    ("Succeeded", "Failed at once", "Deleted"),
    ("Succeeded", "Succeeded", "Deleted"),
    ("Deleted", "Deleted", "Deleted"),
]


@pytest.mark.parametrize("memories", [("cold",) * 3, ("warm",) * 3, MEMORIES], ids="-".join)
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("names", TRIPLES, ids=" & ".join)
def test_three_writers_never_lose_an_event_in_any_schedule(
    names: tuple[str, str, str], row: str, memories: Sequence[str]
) -> None:
    """With three, one can lose twice in a row, each time to another."""
    assert walk(Race([EVENTS[name] for name in names], ROWS[row], memories)) >= 6


@pytest.mark.parametrize("row", ROWS)
def test_three_writers_that_all_remember_the_wrong_row_never_lose_an_event_in_any_schedule(row: str) -> None:
    """The longest way: every writer begins with a conflict, and then they meet."""
    names = ("Succeeded", "Failed at once", "Deleted")

    assert walk(Race([EVENTS[name] for name in names], ROWS[row], ("stale",) * 3)) >= 500
