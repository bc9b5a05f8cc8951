"""What recording costs in storage requests, and what it does when others write the same row."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable

import pytest

from tests.events import NOW, application_id, notification
from tests.fake_store import FakeStore
from webhook.application import Application, merge
from webhook.notification import Notification
from webhook.record import ATTEMPTS, LONGEST_PAUSE, Memory, Recorded, Recorder
from webhook.store import ConflictError, StoreError, Versioned

ADD, READ, INSERT, REPLACE = "add_notification", "read_application", "insert_application", "replace_application"


class Instance:
    """One instance of the app: a recorder with a memory of its own, and a clock, pauses and chance that a test sets."""

    def __init__(self, store: FakeStore, *, capacity: int = 1_000) -> None:
        self.store = store
        self.time = 0.0
        self.chance = 1.0
        self.pauses: list[float] = []
        self.requests: list[str] = []
        memory = Memory(lambda: self.time, capacity)
        self._recorder = Recorder(store, memory, self._sleep, lambda: self.chance)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def _count(self, operation: str) -> None:
        self.requests.append(operation)

    def record(self, event: Notification) -> Recorded:
        """Record an event, and keep the names of the requests that this took."""
        self.requests = []
        before = self.store.gate

        async def counted(operation: str) -> None:
            self.requests.append(operation)
            await before(operation)

        self.store.gate = counted
        try:
            return asyncio.run(self._recorder.record(event, NOW))
        finally:
            self.store.gate = before


def accepted(name: str = "orders", minute: int = 0) -> Notification:
    """Give the first event of an application's life, a new object each time, as every delivery is."""
    return notification(
        "PUT", "Accepted", applicationId=application_id(name), eventTime=f"2026-03-01T10:{minute:02}:00Z"
    )


def succeeded(name: str = "orders", minute: int = 5) -> Notification:
    """Give a later event."""
    return notification(
        "PUT", "Succeeded", applicationId=application_id(name), eventTime=f"2026-03-01T10:{minute:02}:00Z"
    )


def patched(name: str = "orders", minute: int = 10) -> Notification:
    """Give an event that comes later still."""
    return notification(
        "PATCH", "Succeeded", applicationId=application_id(name), eventTime=f"2026-03-01T10:{minute:02}:00Z"
    )


def stored_row(store: FakeStore, name: str = "orders") -> Application:
    """Give the row of an application."""
    return store.rows[accepted(name).application_id.inbox_partition_key].application


def row_of(*events: Notification) -> Application:
    """Merge events one after the other."""
    row: Application | None = None
    for event in events:
        row = merge(row, event)
    assert row is not None
    return row


def written(*events: Notification) -> FakeStore:
    """Give a store in which another instance has recorded these events."""
    store = FakeStore()
    other = Instance(store)
    for event in events:
        other.record(event)
    return store


# --- storage requests


@pytest.mark.parametrize(
    ("before", "event", "requests", "outcome"),
    [
        pytest.param([], accepted(), [ADD, INSERT], "stored", id="first event: inserted unread"),
        pytest.param([], succeeded(), [ADD, READ, INSERT], "stored", id="later event that comes first"),
        pytest.param([accepted()], succeeded(), [ADD, READ, REPLACE], "stored", id="later event"),
        pytest.param([accepted()], accepted(), [ADD, INSERT, READ], "duplicate", id="first event again"),
        pytest.param([succeeded()], succeeded(), [ADD, READ], "duplicate", id="later event again"),
        pytest.param(
            [succeeded()], accepted(), [ADD, INSERT, READ, REPLACE], "superseded", id="first event that comes late"
        ),
        pytest.param([accepted(), patched()], succeeded(), [ADD, READ], "superseded", id="event that changes nothing"),
        pytest.param([patched()], succeeded(), [ADD, READ, REPLACE], "superseded", id="earlier than all before"),
        pytest.param([accepted(), succeeded()], accepted(), [ADD, INSERT, READ], "duplicate", id="old event again"),
        pytest.param(
            [accepted(), succeeded()], accepted(minute=20), [ADD, INSERT, READ, REPLACE], "stored", id="created again"
        ),
    ],
)
def test_a_cold_instance_needs_no_more_requests_than_these(
    before: list[Notification], event: Notification, requests: list[str], outcome: str
) -> None:
    """Each request costs the time of a round trip, and the first event of a customer must be fast on any instance."""
    instance = Instance(written(*before))

    recorded = instance.record(event)

    assert instance.requests == requests
    assert recorded == Recorded(outcome, row_of(*before, event))  # type: ignore[arg-type]  # one of the outcomes
    assert stored_row(instance.store) == recorded.application
    assert instance.pauses == []


@pytest.mark.parametrize(
    ("before", "event", "requests", "outcome"),
    [
        pytest.param([accepted()], succeeded(), [ADD, REPLACE], "stored", id="later event"),
        pytest.param([succeeded()], patched(), [ADD, REPLACE], "stored", id="later event after one read"),
        pytest.param([accepted(), succeeded()], patched(), [ADD, REPLACE], "stored", id="third event"),
        pytest.param([accepted(), succeeded()], accepted(minute=20), [ADD, REPLACE], "stored", id="created again"),
        pytest.param([succeeded()], accepted(), [ADD, REPLACE], "superseded", id="first event that comes late"),
        pytest.param([accepted()], accepted(), [ADD, READ], "duplicate", id="event again"),
        pytest.param([accepted(), succeeded()], accepted(), [ADD, READ], "duplicate", id="old event again"),
        pytest.param([accepted(), patched()], succeeded(), [ADD, READ], "superseded", id="event that changes nothing"),
    ],
)
def test_a_warm_instance_needs_no_read_before_a_write(
    before: list[Notification], event: Notification, requests: list[str], outcome: str
) -> None:
    """The common event costs two requests side by side; what is not written is not taken for granted but read."""
    instance = Instance(FakeStore())
    for each in before:
        instance.record(each)

    recorded = instance.record(event)

    assert instance.requests == requests
    assert recorded == Recorded(outcome, row_of(*before, event))  # type: ignore[arg-type]  # one of the outcomes
    assert stored_row(instance.store) == recorded.application
    assert instance.pauses == []


def test_inbox_and_row_are_written_side_by_side() -> None:
    """One after the other would double the time of every answer."""
    waiting: set[str] = set()

    async def both_wait(operation: str) -> None:
        waiting.add(operation)
        while waiting != {ADD, INSERT}:  # noqa: ASYNC110 - an event would need a loop that does not run yet
            await asyncio.sleep(0)

    store = FakeStore(both_wait)

    assert Instance(store).record(accepted()).outcome == "stored"
    assert (len(store.inbox), len(store.rows)) == (1, 1)


def test_what_was_only_read_is_remembered_too() -> None:
    """A duplicate is often followed by news."""
    instance = Instance(written(accepted(), succeeded()))
    instance.record(succeeded())

    instance.record(patched())

    assert instance.requests == [ADD, REPLACE]


# --- the three outcomes


def test_a_superseded_event_tells_the_latest_row() -> None:
    """The answer says how the application stands, not how it stood when the event was sent."""
    recorded = Instance(written(accepted(), patched())).record(succeeded())

    assert recorded.outcome == "superseded"
    assert recorded.application.latest.value.event_type == "PATCH"


def test_an_event_whose_row_was_never_written_is_stored_by_its_redelivery() -> None:
    """It was answered 500 then: the inbox had it, but the publisher's table did not."""
    store = written(accepted(), succeeded())
    store.rows.clear()

    recorded = Instance(store).record(succeeded())

    assert recorded.outcome == "stored"
    assert stored_row(store) == row_of(succeeded())


def test_an_event_that_the_inbox_lacked_is_stored_by_its_redelivery() -> None:
    """The row write had succeeded and the inbox write had not; now both are durable."""
    store = written(accepted(), succeeded())
    store.inbox.clear()

    assert Instance(store).record(succeeded()).outcome == "stored"
    assert len(store.inbox) == 1


def test_a_write_whose_answer_got_lost_is_found_by_reading() -> None:
    """The SDK repeats an insert that had been done after all, and sees a conflict with itself."""

    class AnswersLost(FakeStore):
        async def insert_application(self, application: Application) -> Versioned:
            await super().insert_application(application)
            raise ConflictError

        async def replace_application(self, application: Application, version: str) -> Versioned:
            await super().replace_application(application, version)
            raise ConflictError

    instance = Instance(AnswersLost())

    assert [instance.record(event).outcome for event in (accepted(), succeeded())] == ["stored", "stored"]
    assert stored_row(instance.store) == row_of(accepted(), succeeded())


# --- failures


@pytest.mark.parametrize("operation", [ADD, READ, INSERT])
def test_a_failure_of_the_store_is_raised_as_it_is(operation: str) -> None:
    """The message is for the operator's log; nothing wraps or replaces it."""

    async def refuse(asked: str) -> None:
        if asked == operation:
            raise StoreError("storage answered 503")

    with pytest.raises(StoreError, match=r"^storage answered 503$"):
        Instance(FakeStore(refuse)).record(succeeded())


def test_when_all_fails_one_failure_is_raised() -> None:
    """Both tables are in one account: one sentence says it."""

    async def refuse(asked: str) -> None:
        raise StoreError(asked)

    with pytest.raises(StoreError, match=f"^{ADD}$"):
        Instance(FakeStore(refuse)).record(accepted())


def test_after_a_failure_doing_it_again_completes_it() -> None:
    """The Marketplace sends it again, and half a record must not stand in the way."""
    failing = {INSERT}

    async def refuse(asked: str) -> None:
        if asked in failing:
            raise StoreError(asked)

    instance = Instance(FakeStore(refuse))
    with pytest.raises(StoreError):
        instance.record(accepted())
    failing.clear()

    assert instance.record(accepted()).outcome == "stored"
    assert stored_row(instance.store) == row_of(accepted())


# --- memory


def test_memory_is_bounded_in_number() -> None:
    """An instance that lives for weeks must not grow with every customer."""
    instance = Instance(FakeStore(), capacity=2)
    for name in ("a", "b", "c"):
        instance.record(accepted(name))

    for name, requests in [("b", [ADD, REPLACE]), ("c", [ADD, REPLACE]), ("a", [ADD, READ, REPLACE])]:
        instance.record(succeeded(name))
        assert instance.requests == requests


def test_what_was_seen_longest_ago_is_forgotten_first() -> None:
    """An application that is busy stays warm, however many others pass by."""
    instance = Instance(FakeStore(), capacity=2)
    for event in (accepted("a"), accepted("b"), succeeded("a"), accepted("c")):
        instance.record(event)

    instance.record(patched("a"))
    assert instance.requests == [ADD, REPLACE]
    instance.record(succeeded("b"))
    assert instance.requests == [ADD, READ, REPLACE]


@pytest.mark.parametrize(("age", "requests"), [(599.9, [ADD, REPLACE]), (600.0, [ADD, READ, REPLACE])])
def test_memory_is_bounded_in_age(age: float, requests: list[str]) -> None:
    """The older a guess, the likelier it is wrong and costs a request instead of saving one."""
    instance = Instance(FakeStore())
    instance.time = 1_000.0
    instance.record(accepted())
    instance.time += age

    instance.record(succeeded())

    assert instance.requests == requests


def test_the_age_counts_from_the_last_time_that_a_row_was_seen() -> None:
    """Every write refreshes what is remembered."""
    instance = Instance(FakeStore())
    for event in (accepted(), succeeded(), patched()):
        instance.record(event)
        instance.time += 500

    assert instance.requests == [ADD, REPLACE]


def test_spellings_of_one_application_share_one_memory() -> None:
    """Case and the leading slash change between events of one application."""
    instance = Instance(FakeStore())
    instance.record(accepted())

    instance.record(notification("PUT", "Succeeded", applicationId=application_id("ORDERS").upper().removeprefix("/")))

    assert instance.requests == [ADD, REPLACE]


def test_a_stale_memory_costs_one_conflict_and_never_a_wrong_row() -> None:
    """Another instance wrote in between; the condition of the write notices it."""
    store = FakeStore()
    one, other = Instance(store), Instance(store)
    one.record(accepted())
    other.record(patched())

    recorded = one.record(succeeded())

    assert one.requests == [ADD, REPLACE, READ]
    assert recorded.outcome == "superseded"
    assert stored_row(store) == recorded.application == row_of(accepted(), succeeded(), patched())
    assert one.pauses == []


def test_a_stale_memory_that_had_news_is_decided_again() -> None:
    """The event is later than what the other wrote, so it is merged into that."""
    store = FakeStore()
    one, other = Instance(store), Instance(store)
    one.record(accepted())
    other.record(succeeded())

    recorded = one.record(patched())

    assert one.requests == [ADD, REPLACE, READ, REPLACE]
    assert recorded.outcome == "stored"
    assert stored_row(store) == row_of(accepted(), succeeded(), patched())
    assert one.pauses == []


@pytest.mark.parametrize(
    ("event", "requests"),
    [
        pytest.param(succeeded(), [ADD, READ, INSERT], id="redelivered"),
        pytest.param(accepted(), [ADD, READ, INSERT], id="redelivered old one"),
        pytest.param(patched(), [ADD, REPLACE, READ, INSERT], id="new"),
    ],
)
def test_a_row_that_was_deleted_behind_its_back_is_written_again(event: Notification, requests: list[str]) -> None:
    """Someone tidied the table by hand; that an instance remembers the row does not mean that it is there."""
    store = FakeStore()
    instance = Instance(store)
    for each in (accepted(), succeeded()):
        instance.record(each)
    store.rows.clear()

    recorded = instance.record(event)

    assert instance.requests == requests
    assert recorded.outcome == "stored"
    assert stored_row(store) == recorded.application == row_of(event)


# --- races


def racing(store: FakeStore, times: float, operations: Iterable[str] = (INSERT, REPLACE)) -> list[str]:
    """Have another writer get ahead of so many writes; the list fills with those."""
    lost: list[str] = []

    async def other_first(operation: str) -> None:
        if operation in operations and len(lost) < times:
            lost.append(operation)
            store.rows[accepted().application_id.inbox_partition_key] = Versioned(
                row_of(accepted()), f"other {len(lost)}"
            )

    store.gate = other_first
    return lost


@pytest.mark.parametrize("races", range(ATTEMPTS))
def test_races_are_repeated_until_one_is_won(races: int) -> None:
    """Losing is normal when many instances write one row; the event still gets in."""
    store = written(accepted())
    lost = racing(store, races)

    recorded = Instance(store).record(succeeded())

    assert len(lost) == races
    assert recorded.outcome == "stored"
    assert stored_row(store) == row_of(accepted(), succeeded())


def test_too_many_lost_races_end_with_a_message() -> None:
    """A call cannot try for ever: a 500 makes the Marketplace come back later."""
    store = written(accepted())
    lost = racing(store, float("inf"))

    with pytest.raises(StoreError, match=r"^others changed the application's row first, 10 times running$"):
        Instance(store).record(succeeded())

    assert len(lost) == ATTEMPTS
    assert stored_row(store) == row_of(accepted())


def test_pauses_grow_from_short_to_longest_and_fit_into_a_call() -> None:
    """Writers that collide must get apart, and yet the answer must be out within 8 seconds."""
    store = written(accepted())
    racing(store, ATTEMPTS - 1)
    instance = Instance(store)

    instance.record(succeeded())

    assert instance.pauses == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.4, 0.4, 0.4, 0.4])
    assert max(instance.pauses) == LONGEST_PAUSE
    assert sum(instance.pauses) < 4


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 0.0), (0.5, 0.01), (0.99, 0.0198)])
def test_chance_keeps_writers_apart(chance: float, pause: float) -> None:
    """Without it, two that collided once would collide again in step."""
    store = written(accepted())
    racing(store, 1)
    instance = Instance(store)
    instance.chance = chance

    instance.record(succeeded())

    assert instance.pauses == pytest.approx([pause])


def test_a_wrong_guess_is_no_race_and_pauses_nothing() -> None:
    """An insert on suspicion or a stale memory collides with the past and not with another writer."""
    guessing = Instance(written(succeeded()))
    guessing.record(accepted())
    store = FakeStore()
    stale = Instance(store)
    stale.record(accepted())
    Instance(store).record(succeeded())
    stale.record(patched())

    assert guessing.requests == [ADD, INSERT, READ, REPLACE]
    assert stale.requests == [ADD, REPLACE, READ, REPLACE]
    assert guessing.pauses == stale.pauses == []


def test_a_race_lost_after_a_wrong_guess_pauses() -> None:
    """Only the conflict after a read is a collision."""
    store = written(succeeded())
    racing(store, 1, [REPLACE])
    instance = Instance(store)

    instance.record(accepted(minute=20))

    assert instance.requests == [ADD, INSERT, READ, REPLACE, READ, REPLACE]
    assert instance.pauses == pytest.approx([0.02])


@pytest.mark.parametrize("how", ["deleted", "created"])
def test_a_row_that_comes_or_goes_while_it_is_written_is_decided_again(how: str) -> None:
    """404 and 409 are lost races as much as 412."""
    store = written(accepted()) if how == "deleted" else FakeStore()
    key = accepted().application_id.inbox_partition_key
    done: list[str] = []

    async def change(operation: str) -> None:
        if operation in {INSERT, REPLACE} and not done:
            done.append(operation)
            if how == "deleted":
                del store.rows[key]
            else:
                store.rows[key] = Versioned(row_of(accepted()), "other")

    store.gate = change

    recorded = Instance(store).record(succeeded())

    assert done == [REPLACE if how == "deleted" else INSERT]
    assert recorded.application == row_of(*([] if how == "deleted" else [accepted()]), succeeded())
    assert stored_row(store) == recorded.application


# --- both halves


def recorder(store: FakeStore, memory: Memory | None = None) -> Recorder:
    """Give a recorder that pauses for real."""
    return Recorder(store, memory or Memory(lambda: 0.0), asyncio.sleep, lambda: 0.0)


def test_a_row_that_cannot_be_written_does_not_keep_the_event_out_of_the_inbox() -> None:
    """A row that somebody broke can be rebuilt from the inbox, if only the event gets there."""

    async def slow_inbox(operation: str) -> None:
        if operation == "read_application":
            raise StoreError("broken")
        await asyncio.sleep(0.01)

    store = FakeStore(slow_inbox)

    with pytest.raises(StoreError, match=r"^broken$"):
        asyncio.run(recorder(store).record(succeeded(), NOW))
    assert list(store.inbox.values()) == [succeeded().body]


def test_an_inbox_that_cannot_be_written_does_not_keep_the_row_back() -> None:
    """The other half is worth having too: the state is known while the Marketplace comes back with the event."""

    async def slow_row(operation: str) -> None:
        if operation == "add_notification":
            raise StoreError("full")
        await asyncio.sleep(0.01)

    store = FakeStore(slow_row)

    with pytest.raises(StoreError, match=r"^full$"):
        asyncio.run(recorder(store).record(accepted(), NOW))
    assert len(store.rows) == 1


def test_a_bug_in_one_half_is_not_hidden_by_a_fault_in_the_other() -> None:
    """A fault of storage passes by itself; a bug has to be seen."""

    async def both_fail(operation: str) -> None:
        if operation == "add_notification":
            raise StoreError("down")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(recorder(FakeStore(both_fail)).record(accepted(), NOW))


def test_a_write_that_is_cancelled_from_within_is_a_fault() -> None:
    """Nobody cancelled the call, so it has to be answered, and with 500."""

    async def cancel_row(operation: str) -> None:
        if operation != "add_notification":
            raise asyncio.CancelledError

    with pytest.raises(StoreError, match="cancelled from within"):
        asyncio.run(recorder(FakeStore(cancel_row)).record(accepted(), NOW))


@pytest.mark.parametrize("remembered", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("done", [False, True], ids=["not done", "done, but the answer is lost"])
@pytest.mark.parametrize("struck", range(4))
@pytest.mark.parametrize("event", [accepted(), succeeded()], ids=["first event", "later event"])
def test_a_fault_of_any_one_operation_loses_nothing(
    event: Notification, struck: int, *, done: bool, remembered: bool
) -> None:
    """Storage fails before or after it did what it was asked; the Marketplace delivers again, and all is there once."""
    before = accepted(minute=1)
    store, memory = FakeStore(), Memory(lambda: 0.0)
    asyncio.run(recorder(store, memory).record(before, NOW))
    operations = itertools.count()

    async def strike(_operation: str) -> None:
        if next(operations) == struck:
            raise StoreError("struck")

    if done:
        store.exit_gate = strike
    else:
        store.gate = strike
    struck_instance = recorder(store, memory if remembered else None)
    for _ in range(2):
        with contextlib.suppress(StoreError):
            asyncio.run(struck_instance.record(event, NOW))

    assert store.rows[event.application_id.inbox_partition_key].application == merge(merge(None, before), event)
    assert set(store.inbox.values()) == {before.body, event.body}
