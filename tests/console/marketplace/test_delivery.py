"""Delivering: what each answer leads to, on a server that really gives it."""

import asyncio
import random
from collections.abc import Callable, Sequence

import pytest

from console.endpoint import Endpoint
from console.marketplace.delivery import Fate, Marketplace, Tally, fate
from console.marketplace.lives import Event
from console.marketplace.schedule import Attempt, Delivery, pauses
from tests.console.conftest import DROP, GARBAGE, HALF, HANG, Server, Start

FAST = 1e6  # 10 hours are 36 ms


def delivery(number: int = 0, *, due: float = 0.0, lost: Callable[[int], bool] = lambda _: False) -> Delivery:
    """Give a delivery of an event that is nothing but its number."""
    chance = random.Random(number)
    attempts = [Attempt(pause, lost(at), chance.random()) for at, pause in enumerate((0.0, *pauses(chance)))]
    event = Event(0, number, "PUT", "Accepted", number, 0, f'{{"number": {number}}}'.encode())
    return Delivery(event, due, repeated=False, overtaken=False, attempts=tuple(attempts))


ONE = delivery()
MOST = len(ONE.attempts)


def deliver(
    deliveries: Sequence[Delivery],
    *servers: Server,
    speed: float = FAST,
    at_once: int = 16,
    timeout: float = 10,
    settled: Callable[[], None] = lambda: None,
) -> Tally:
    """Deliver, and give what was counted."""
    tally = Tally()
    endpoints = [Endpoint.parse(server.url) for server in servers]
    marketplace = Marketplace(endpoints, speed=speed, at_once=at_once, timeout=timeout, tally=tally, settled=settled)
    asyncio.run(marketplace.deliver(deliveries))
    assert tally.in_flight == 0
    assert tally.settled == len(deliveries)
    return tally


@pytest.mark.parametrize(
    "status", [200, 201, 202, 204, 301, 302, 400, 401, 403, 404, 405, 413, 429, 500, 502, 503, 504]
)
def test_a_status_leads_to_what_is_documented(status: int, start: Start) -> None:
    """200 is done; 404, 429 and from 500 on are tried again until 10 hours are over; the rest is dropped at once."""
    with start(status) as server:
        tally = deliver([ONE], server)

    retried = status in (404, 429) or status >= 500
    assert tally.attempts == tally.statuses[status] == len(server.paths) == (MOST if retried else 1)
    assert tally.retries == ({str(status): MOST - 1} if retried else {})
    assert tally.given_up == retried
    assert tally.dropped == ({} if retried or status == 200 else {status: 1})
    assert tally.heard == ({(0, 0)} if status == 200 else set())


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (DROP, "the connection breaks off"),
        (GARBAGE, "the answer is not HTTP"),
        (HALF, "the answer breaks off"),
        (HANG, "no answer within 0.02 s"),
    ],
)
def test_no_answer_is_tried_again(does: int, reason: str, start: Start) -> None:
    """However it comes about that nothing usable came back, the event is not taken for delivered."""
    with start(does) as server:
        tally = deliver([ONE], server, timeout=0.02)

    assert tally.unreachable == {reason: MOST}
    assert tally.retries == {"unreachable": MOST - 1}
    assert tally.given_up == 1
    assert not tally.heard


def test_a_port_that_nobody_listens_on_is_tried_again(start: Start) -> None:
    """A webhook that is down gets its events when it is up again."""
    with start() as server:
        pass
    tally = deliver([ONE], server)

    assert tally.unreachable == {"the connection is refused": MOST}


def test_it_ends_with_the_first_success(start: Start) -> None:
    """Each retry is counted by what it was for."""
    with start(lambda number: [500, DROP, 404, 503, 200][number]) as server:
        tally = deliver([ONE], server)

    assert tally.retries == {"500": 1, "unreachable": 1, "404": 1, "503": 1}
    assert (tally.attempts, tally.given_up, tally.heard) == (5, 0, {(0, 0)})
    assert set(server.bodies) == {ONE.event.body}


def test_what_is_sent_is_the_notification_at_the_url_with_its_query(start: Start) -> None:
    """The body as it is, as JSON, at the path with /resource."""
    with start() as server:
        deliver([ONE], server)

    assert server.paths == ["/api/resource?secret=correct-horse-battery-staple"]
    assert server.media_types == ["application/json; charset=utf-8"]


def test_a_redirect_is_not_followed(start: Start) -> None:
    """It is not success, and the Marketplace knows no other address than the one that it was given."""
    with start(301) as server:
        deliver([ONE], server)

    assert [path.partition("?")[0] for path in server.paths] == ["/api/resource"]


def test_a_lost_answer_was_a_delivery(start: Start) -> None:
    """The webhook has the event, the Marketplace does not know it, and delivers it again."""
    with start(200) as server:
        tally = deliver([delivery(lost=lambda attempt: attempt < 2)], server)

    assert len(server.bodies) == 3
    assert tally.retries == {"answer lost": 2}
    assert tally.lost_answers == 2
    assert tally.heard == {(0, 0)}


def test_a_lost_refusal_is_tried_again(start: Start) -> None:
    """An answer that is not heard cannot make the Marketplace drop the event."""
    with start(lambda number: 401 if number == 0 else 200) as server:
        tally = deliver([delivery(lost=lambda attempt: attempt == 0)], server)

    assert tally.heard == {(0, 0)}
    assert not tally.dropped


def test_every_url_gets_its_share(start: Start) -> None:
    """As with several instances behind a load balancer, which one gets an event is chance."""
    with start() as one, start() as two, start() as three:
        tally = deliver([delivery(number) for number in range(300)], one, two, three)

    shares = [len(server.paths) for server in (one, two, three)]
    assert min(shares) > 60
    assert [tally.by_url[number] for number in range(3)] == shares
    assert sorted(one.bodies + two.bodies + three.bodies) == sorted(delivery(n).event.body for n in range(300))


@pytest.mark.parametrize("at_once", [1, 4])
def test_no_more_are_in_flight_than_allowed(at_once: int, start: Start) -> None:
    """A webhook under test can be given one event at a time, or many."""
    with start(seconds=0.01) as server:
        deliver([delivery(number) for number in range(20)], server, at_once=at_once)

    assert server.most == at_once


def test_deliveries_begin_in_the_order_in_which_they_are_due(start: Start) -> None:
    """One at a time, the order on the wire is that of the plan."""
    due = [(number * 7) % 20 for number in range(20)]
    with start() as server:
        deliver([delivery(number, due=1000.0 * due[number]) for number in range(20)], server, at_once=1)

    assert server.bodies == [delivery(due.index(each)).event.body for each in range(20)]


def test_speed_is_how_fast_the_marketplaces_time_passes(start: Start) -> None:
    """What is due after 10 minutes is sent after a second at 600."""

    async def timed(server: Server) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await Marketplace(
            [Endpoint.parse(server.url)], speed=600, at_once=1, timeout=10, tally=Tally(), settled=lambda: None
        ).deliver([delivery(due=120.0)])
        return loop.time() - began

    with start() as server:
        assert 0.2 <= asyncio.run(timed(server)) < 1


def test_it_says_when_a_delivery_is_settled(start: Start) -> None:
    """The progress bar counts deliveries, and not requests."""
    settled: list[None] = []
    with start(lambda number: 500 if number < 3 else 200) as server:
        deliver([delivery(number) for number in range(5)], server, settled=lambda: settled.append(None))

    assert len(settled) == 5


def test_a_fate_is_known_for_every_status() -> None:
    """No status leads to nothing."""
    fates = {status: fate(status) for status in range(100, 1000)}

    assert [status for status, each in fates.items() if each is Fate.DONE] == [200]
    assert [status for status, each in fates.items() if each is Fate.RETRY] == [404, 429, *range(500, 1000)]
    assert fate(None) is Fate.RETRY
