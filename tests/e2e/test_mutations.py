"""Whatever is sent: 5,000 mutated bodies get 200, 400 or 413, never 500, and each is kept."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import aiohttp

from tests import events
from tests.e2e.conftest import Webhook

MUTANTS = 5_000
SEEDS = [events.body(event_type, state) for event_type, state in events.PAIRS] + [
    events.body(plan=None, billingDetails=None, applicationDefinitionId=events.DEFINITION_ID)
]
PIECES = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"\\ud800",
    b"\\u0000",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"NaN",
]
PIECES += [
    b"9" * 400,
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    "é😀".encode(),
    b"[" * 500,
    b'{"a":' * 500,
    b" " * 300_000,
    b"\n",
    b"|",
]
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    "",
    " ",
    "x",
    "\u0000",
    "\ud83d",
    "😀" * 5000,
    [],
    [[]],
    {},
    {"a": {}},
    "2026-13-01",
    "PUT",
]


def mutant(chance: random.Random) -> bytes:
    """Give a body that was valid once."""
    body = chance.choice(SEEDS)
    for _ in range(chance.randint(1, 3)):
        match chance.randrange(7):
            case 0:  # a bit flips
                at = chance.randrange(len(body) or 1)
                body = body[:at] + bytes([body[at] ^ (1 << chance.randrange(8))]) + body[at + 1 :] if body else body
            case 1:  # a part is missing
                start = chance.randrange(len(body) + 1)
                body = body[:start] + body[start + chance.randrange(1, 40) :]
            case 2:  # a part comes twice
                start = chance.randrange(len(body) + 1)
                body = body[:start] + body[start : start + chance.randrange(1, 200)] + body[start:]
            case 3:  # something comes between
                at = chance.randrange(len(body) + 1)
                body = body[:at] + chance.choice(PIECES) + body[at:]
            case _:  # a value is another
                body = _with_another_value(chance, body)
    return body


def _with_another_value(chance: random.Random, body: bytes) -> bytes:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return body
    places = list(_places(content))
    if not places:
        return body
    container, key = chance.choice(places)
    container[key] = chance.choice(VALUES)
    return json.dumps(content).encode()


def _places(value: object) -> Iterator[tuple[Any, Any]]:
    """Give every place in a JSON value: the object or list, and the key or index."""
    inner: Iterable[tuple[Any, object]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, part in inner:
        yield value, key
        yield from _places(part)


def test_no_body_makes_the_app_fail(webhook: Webhook) -> None:
    """A 500 would make the Marketplace send the same body for 10 hours, each time in vain."""
    chance = random.Random(20260301)
    bodies = [mutant(chance) for _ in range(MUTANTS)]
    statuses: Counter[int] = Counter()
    failed: list[bytes] = []

    async def run() -> None:
        places = asyncio.Semaphore(16)

        async def one(session: aiohttp.ClientSession, body: bytes) -> None:
            async with places, session.post(webhook.address(), data=body) as answer:
                statuses[answer.status] += 1
                if answer.status == 500:
                    failed.append(body)

        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as together:
            for body in bodies:
                together.create_task(one(session, body))

    asyncio.run(run())
    assert not failed, failed[0][:500]
    assert set(statuses) == {200, 400, 413}
    assert statuses.total() == MUTANTS
    assert statuses[200] > MUTANTS // 20  # else the mutants are too far from anything valid to find much
