"""Whole histories of faults, made up by Hypothesis: deliveries, redeliveries, crashes, lost answers, restarts.

After every step: no row's order key has gone back, and what was answered 200 is in the inbox. In the end, when all has
been delivered again until it was answered, every row is what all the events together make, and the inbox holds each of
them once. The same rules play on the fake store, thousands of steps, and on Azurite behind the relay, fewer.
"""

import asyncio
import contextlib
import itertools
import tempfile
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import pytest

pytest.importorskip("hypothesis", reason="hypothesis is not installed")

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests import events
from tests.fake_store import FakeStore
from tests.relay import PASSING, Fault, Relay, none
from tools.azurite import Azurite, connection_string, missing
from webhook.application import Application, merge
from webhook.notification import Notification
from webhook.record import Memory, Recorder
from webhook.settings import Storage
from webhook.store import Store, StoreError
from webhook.tables import Tables

_T = TypeVar("_T")

APPLICATIONS = 3
EVENTS = st.builds(
    lambda application, pair, minute, plan: (application, pair, minute, plan),
    st.integers(0, APPLICATIONS - 1),
    st.sampled_from(events.PAIRS),
    st.integers(0, 5),
    st.booleans(),
)
INSTANCES = st.integers(0, 1)


class Histories(RuleBasedStateMachine):
    """The rules, on a store that a subclass gives."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.events: dict[str, Notification] = {}  # by body
        self.answered: set[str] = set()
        self.orders: dict[str, str] = defaultdict(str)
        self.instances: list[Recorder] = []

    # what a subclass gives

    def store(self) -> Store:
        """Give what an instance that starts opens."""
        raise NotImplementedError

    def strike(self, operation: int, fault: Fault) -> contextlib.AbstractContextManager[None]:
        """Strike one of the next storage operations, counted from 0."""
        raise NotImplementedError

    def restart_storage(self) -> None:
        """End the storage and start it again, with what it had kept."""
        raise NotImplementedError

    async def rows(self) -> dict[str, Application]:
        """Give the rows that are stored, by the inbox partition of their application."""
        raise NotImplementedError

    async def inbox(self) -> list[str]:
        """Give the bodies that are stored."""
        raise NotImplementedError

    async def close_storage(self) -> None:
        """Close what the history opened."""

    def name(self, application: int) -> str:
        """Give the name of an application."""
        return f"app-{application}"

    # the rules

    @initialize()
    def start(self) -> None:
        """Begin with one instance."""
        self.instances = [self._instance()]

    @rule(event=EVENTS, instance=INSTANCES)
    def deliver(self, event: tuple[int, tuple[str, str], int, bool], instance: int) -> None:
        """Deliver an event."""
        self._record(self._notification(event), instance)

    @rule(event=EVENTS, instance=INSTANCES, operation=st.integers(0, 3), fault=st.sampled_from(sorted(PASSING)))
    def deliver_with_a_fault(
        self, event: tuple[int, tuple[str, str], int, bool], instance: int, operation: int, fault: Fault
    ) -> None:
        """Deliver an event, and strike one of the storage operations that this takes."""
        with self.strike(operation, fault):
            self._record(self._notification(event), instance)

    @precondition(lambda self: self.events)
    @rule(data=st.data(), instance=INSTANCES)
    def redeliver(self, data: st.DataObject, instance: int) -> None:
        """Deliver an event again, whether or not it was answered."""
        self._record(self.events[data.draw(st.sampled_from(sorted(self.events)))], instance)

    @rule(first=EVENTS, second=EVENTS)
    def deliver_two_at_once(
        self, first: tuple[int, tuple[str, str], int, bool], second: tuple[int, tuple[str, str], int, bool]
    ) -> None:
        """Deliver an event to each instance at the same moment."""
        both = [self._notification(first), self._notification(second)]
        self._run(self._try_together(both))

    @rule(instance=INSTANCES)
    def crash(self, instance: int) -> None:
        """End an instance: all that it remembers is gone."""
        self.instances[instance % len(self.instances)] = self._instance()

    @precondition(lambda self: len(self.instances) == 1)
    @rule()
    def start_a_second_instance(self) -> None:
        """Scale out."""
        self.instances.append(self._instance())

    @rule()
    def restart(self) -> None:
        """End the storage and start it again."""
        self.restart_storage()

    # what always holds

    @invariant()
    def no_row_goes_back(self) -> None:
        """Never show a publisher an older state after a newer one."""
        for key, row in self._run(self.rows()).items():
            assert row.order >= self.orders[key]
            self.orders[key] = row.order

    @invariant()
    def what_was_answered_is_kept(self) -> None:
        """Mean durable by 200."""
        assert self.answered <= set(self._run(self.inbox()))

    def teardown(self) -> None:
        """Deliver all that was not answered until it is, and compare everything."""
        try:
            while waiting := self.events.keys() - self.answered:
                for body in sorted(waiting):
                    self._record(self.events[body], 0)
            lives: dict[str, list[Notification]] = defaultdict(list)
            for event in self.events.values():
                lives[event.application_id.inbox_partition_key].append(event)
            assert self._run(self.rows()) == {key: reduce(merge, life, None) for key, life in lives.items()}
            assert sorted(self._run(self.inbox())) == sorted(self.events)
        finally:
            self._run(self.close_storage())
            self._run(self.loop.shutdown_asyncgens())
            self.loop.close()

    def _instance(self) -> Recorder:
        return Recorder(self.store(), Memory(lambda: 0.0), asyncio.sleep, lambda: 0.1)

    def _notification(self, event: tuple[int, tuple[str, str], int, bool]) -> Notification:
        application, (event_type, state), minute, plan = event
        body = events.body(
            event_type,
            state,
            applicationId=events.application_id(self.name(application)),
            eventTime=f"2026-03-01T10:0{minute}:00Z",
            plan=events.PLAN | {"version": f"{event_type} {minute}"} if plan else None,
        )
        return self.events.setdefault(body.decode(), Notification.from_body(body, now=events.NOW))

    def _record(self, event: Notification, instance: int) -> None:
        self._run(self._try(event, instance))

    async def _try(self, event: Notification, instance: int) -> None:
        with contextlib.suppress(StoreError):
            await self.instances[instance % len(self.instances)].record(event, events.NOW)
            self.answered.add(event.body)

    async def _try_together(self, both: list[Notification]) -> None:
        await asyncio.gather(*(self._try(event, number) for number, event in enumerate(both)))

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(work)


class OnTheFake(Histories):
    """The rules on the fake store, where every step costs next to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeStore()

    def store(self) -> Store:
        """See Histories."""
        return self.fake

    @contextlib.contextmanager
    def strike(self, operation: int, fault: Fault) -> Iterator[None]:
        """See Histories; half of the faults strike before the operation is done, half after."""
        count = itertools.count()

        async def gate(_operation: str) -> None:
            if next(count) == operation:
                raise StoreError(fault)

        opened = self.fake.gate, self.fake.exit_gate
        if "done, but" in fault:
            self.fake.exit_gate = gate
        else:
            self.fake.gate = gate
        yield
        self.fake.gate, self.fake.exit_gate = opened

    def restart_storage(self) -> None:
        """See Histories: what is in a dictionary stays."""

    async def rows(self) -> dict[str, Application]:
        """See Histories."""
        return {key: row.application for key, row in self.fake.rows.items()}

    async def inbox(self) -> list[str]:
        """See Histories."""
        return list(self.fake.inbox.values())


class OnAzurite(Histories):
    """The rules on Azurite, whose data is on disk, behind a relay."""

    folder: Path
    azurite: Azurite
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.number = next(self.numbers)
        self.opened: list[Tables] = []
        self.relay = self._run(Relay(self.azurite.port).__aenter__())
        self.direct = self._run(self._open(self.azurite.port))

    def store(self) -> Store:
        """See Histories."""
        return self._run(self._open(self.relay.port))

    @contextlib.contextmanager
    def strike(self, operation: int, fault: Fault) -> Iterator[None]:
        """See Histories."""
        count = itertools.count()
        self.relay.choose = lambda _: fault if next(count) == operation else None
        yield
        self.relay.choose = none

    def restart_storage(self) -> None:
        """See Histories."""
        self.azurite.stop()
        self.azurite.start()

    async def rows(self) -> dict[str, Application]:
        """See Histories."""
        return {
            row.application_id.inbox_partition_key: row
            async for row in self.direct.applications()
            if row.application_id.name.startswith(self.name(0)[:-1])
        }

    async def inbox(self) -> list[str]:
        """See Histories."""
        return [entry.body async for entry in self.direct.inbox() if f"|{self.name(0)[:-1]}" in entry.partition_key]

    def name(self, application: int) -> str:
        """See Histories; each history has applications of its own."""
        return f"history-{self.number}-{application}"

    async def close_storage(self) -> None:
        """See Histories."""
        for tables in self.opened:
            await tables.close()
        await self.relay.__aexit__(None, None, None)

    async def _open(self, port: int) -> Tables:
        self.opened.append(Tables.connect(Storage("STATE_STORAGE", connection_string(port))))
        return self.opened[-1]


def test_no_history_loses_an_event_on_the_fake_store() -> None:
    """Combinations that nobody thinks of: 300 histories of up to 40 steps."""
    run_state_machine_as_test(OnTheFake, settings=settings(max_examples=300, stateful_step_count=40, deadline=None))


@pytest.mark.skipif(bool(missing()), reason=str(missing()))
def test_no_history_loses_an_event_on_azurite() -> None:
    """The same with real requests, connections and restarts: 8 histories of up to 12 steps."""
    with tempfile.TemporaryDirectory() as folder, Azurite(folder=Path(folder)) as azurite:
        OnAzurite.azurite = azurite
        run_state_machine_as_test(
            OnAzurite,
            settings=settings(
                max_examples=8,
                stateful_step_count=12,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
