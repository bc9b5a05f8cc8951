"""`managedapps rejected`: refused bodies are listed and shown as they came, and recorded when the app takes them."""

import asyncio
import base64
import dataclasses
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import events
from tests.console.conftest import Run
from tests.console.publisher.conftest import on_a_terminal
from webhook.application import merge
from webhook.entities import rejection_of
from webhook.notification import FieldError, InvalidNotificationError, Notification
from webhook.rejection import BODY_LIMIT, Rejection
from webhook.settings import Storage
from webhook.store import StoreError
from webhook.tables import REJECTIONS, Tables

pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
pytest.importorskip("rich", reason="rich is not installed: the console is an optional extra")

from console.publisher import rejected, rejections
from console.publisher.rejections import Attempt, Key, Retry
from console.publisher.row import utc_text

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
UNKNOWN: list[FieldError] = [{"loc": ["provisioningState"], "msg": "Input should be 'Accepted'"}]
"""What an older app, which did not know a state yet, might have had against a body that is valid now."""

VALID = events.body("PUT", "Succeeded", eventTime="2025-03-01T10:00:00Z")


@pytest.fixture
def account(storage: Storage, elsewhere: pytest.MonkeyPatch) -> Storage:
    """Give an empty account; the environment names it."""
    elsewhere.setenv("STATE_STORAGE", storage.connection_string or "")
    return storage


def keep(storage: Storage, *refused: Rejection) -> None:
    """Keep refused bodies, as the webhook does."""

    async def add() -> None:
        async with Tables.connect(storage) as tables:
            for rejection in refused:
                assert await tables.add_rejection(rejection)

    asyncio.run(add())


def refused(body: bytes, received_at: datetime, errors: list[FieldError] | None = None) -> Rejection:
    """Give what is kept of a body; with what is wrong with it now, unless it is said what was."""
    if errors is None and len(body) <= BODY_LIMIT:
        with pytest.raises(InvalidNotificationError) as caught:
            Notification.from_body(body, now=received_at)
        errors = caught.value.errors
    return Rejection.of(body, received_at, errors)


def stored(storage: Storage) -> tuple[list[Rejection], list[Any], list[Any]]:
    """Give the rejections, the inbox as (order key, time of receipt, body), and the rows."""

    async def read() -> tuple[list[Rejection], list[Any], list[Any]]:
        async with Tables.connect(storage) as tables:
            return (
                [rejection_of(row.entity) async for row in tables.rejections()],
                [(entry.order, entry.received_at, entry.body) async for entry in tables.inbox()],
                [row async for row in tables.applications()],
            )

    return asyncio.run(read())


NONSENSE = refused(b"nonsense \x1b[31m", NOW - 2 * DAY)
FIELD = refused(events.body(plan={"name": {}}), NOW - DAY)
LATIN = refused("Grüße".encode("latin-1"), NOW - 9 * DAY)
HUGE = refused(b"x" * (BODY_LIMIT + 5), NOW - timedelta(hours=1))
FORMER = dataclasses.replace(Rejection.of(VALID, NOW - 5 * DAY, UNKNOWN), recorded_at=NOW - DAY)
ALL = (NONSENSE, FIELD, LATIN, HUGE, FORMER)


def when(time: datetime) -> str:
    """Give a time as it is printed."""
    return f"{time:%Y-%m-%d %H:%M:%S}"


# --- list


def test_the_list_has_what_came_last_first(account: Storage, managedapps: Run) -> None:
    """A line each; the first thing that is wrong tells most of them apart."""
    keep(account, *ALL)
    done = managedapps("rejected", "list")
    heading, *lines = done.out.splitlines()

    assert (done.status, done.err) == (0, "")
    assert heading.split() == ["RECEIVED", "ID", "REASON", "SIZE", "FIRST", "ERROR"]
    assert [line.split(maxsplit=5)[:5] for line in lines] == [
        [*when(each.received_at).split(), each.digest, each.reason, str(each.size)]
        for each in (HUGE, FIELD, NONSENSE, LATIN)
    ]
    assert [line.split(maxsplit=5)[5] for line in lines] == [
        "-",
        "plan.name: Input should be a valid string",
        "body: Invalid JSON: expected ident at line 1 column 2",
        "body: Invalid JSON: expected value at line 1 column 1",
    ]


def test_what_was_recorded_since_is_listed_on_demand(account: Storage, managedapps: Run) -> None:
    """It is dealt with, and still there."""
    keep(account, *ALL)
    line = next(line for line in managedapps("rejected", "list", "--all").out.splitlines() if FORMER.digest in line)

    assert when(NOW - DAY) in line
    assert "provisioningState: Input should be 'Accepted'" in line


def test_the_list_can_begin_at_a_time(account: Storage, managedapps: Run) -> None:
    """Within a day too, though the service filters by day."""
    keep(account, *ALL)

    def listed(since: str) -> list[str]:
        return [each["id"] for each in json.loads(managedapps("rejected", "list", "--since", since, "--json").out)]

    assert listed("7d") == [HUGE.digest, FIELD.digest, NONSENSE.digest]
    assert listed("2h") == [HUGE.digest]
    assert listed("30m") == []
    assert listed(utc_text(FIELD.received_at)) == [HUGE.digest, FIELD.digest]
    assert managedapps("rejected", "list", "--since", "soon").status == 2


def test_the_list_as_json_has_every_error(account: Storage, managedapps: Run) -> None:
    """And whole times."""
    keep(account, FORMER)

    assert json.loads(managedapps("rejected", "list", "--all", "--json").out) == [
        {
            "day": FORMER.day,
            "id": FORMER.digest,
            "receivedAt": utc_text(FORMER.received_at),
            "reason": "invalid",
            "size": len(VALID),
            "truncated": False,
            "errors": UNKNOWN,
            "recordedAt": utc_text(NOW - DAY),
        }
    ]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("arguments", "out", "err"),
    [
        (("list",), "", "Every body was taken, or recorded since.\n"),
        (("list", "--all"), "", "There is no such body.\n"),
        (("list", "--since", "1d"), "", "There is no such body.\n"),
        (("list", "--json"), "[]\n", ""),
        (("retry",), "", "0 of 0 refused bodies tried again.\n"),
    ],
)
def test_where_nothing_was_refused_nothing_is_wrong(
    arguments: Sequence[str], out: str, err: str, managedapps: Run
) -> None:
    """The table is not even there: it is made by the first refusal."""
    assert managedapps("rejected", arguments) == (0, out, err)


def test_an_entry_that_somebody_broke_is_said_and_hides_no_other(account: Storage, managedapps: Run) -> None:
    """It is named, so that it can be looked at."""
    keep(account, NONSENSE, FIELD)
    break_(account, NONSENSE, size="many")
    done = managedapps("rejected", "list", "--json")
    again = managedapps("rejected", "retry")

    assert [each["id"] for each in json.loads(done.out)] == [FIELD.digest]
    assert done.err.startswith(f"Warning: the entry '{NONSENSE.day}', '{NONSENSE.digest}' of ManagedApplicationRej")
    assert done.err.count("\n") == 1
    assert again.status == 1
    assert f"{NONSENSE.day} {NONSENSE.digest} failed: the entry " in again.out


def break_(storage: Storage, rejection: Rejection, **columns: object) -> None:
    """Change columns of a refused body, as a person would."""

    async def change() -> None:
        async with Tables.connect(storage) as tables:
            client = tables._service.get_table_client(REJECTIONS)  # noqa: SLF001 - the store itself never does
            await client.upsert_entity({"PartitionKey": rejection.day, "RowKey": rejection.digest, **columns})

    asyncio.run(change())


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")
def test_on_a_terminal_ids_are_short_and_errors_cut(account: Storage) -> None:
    """Digits enough to tell them apart, and to give to the other commands."""
    keep(account, *ALL)
    shown = on_a_terminal(70, "rejected", "list")

    assert f"  {FIELD.digest[:12]}  invalid " in shown
    assert FIELD.digest[:13] not in shown
    assert re.search(r"  plan\.name: In\w*…", shown)
    assert all(len(line) <= 70 for line in shown.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines())


# --- show


def test_a_body_is_shown_with_all_that_is_wrong(account: Storage, managedapps: Run) -> None:
    """Indented, where it is JSON; the first digits of the ID are enough."""
    body = b'{"eventType": "P\xc3\x96ST", "plan": {"name": []}, "n": 1.5}'
    rejection = refused(body, NOW)
    keep(account, *ALL, rejection)
    done = managedapps("rejected", "show", rejection.digest[:9].upper())
    head, _, shown = done.out.partition("\nbody\n\n")

    assert (done.status, done.err) == (0, "")
    assert head.splitlines() == [
        f"ID        {rejection.digest}",
        f"received  {when(NOW)} UTC",
        "reason    invalid",
        f"size      {len(body)} bytes",
        "error     eventType: Input should be 'PUT', 'PATCH' or 'DELETE'",
        "error     applicationId: Field required",
        "error     eventTime: Field required",
        "error     provisioningState: Field required",
        "error     plan.name: Input should be a valid string",
    ]
    assert shown == json.dumps(json.loads(body), indent=2, ensure_ascii=False) + "\n"


def test_a_body_that_came_on_several_days_is_shown_once(account: Storage, managedapps: Run) -> None:
    """With each time, and whether it was recorded since."""
    later = Rejection.of(VALID, NOW, UNKNOWN)
    keep(account, later, FORMER)
    lines = managedapps("rejected", "show", later.digest).out.splitlines()
    whole = json.loads(managedapps("rejected", "show", later.digest, "--json").out)

    assert lines[1:3] == [
        f"received  {when(FORMER.received_at)} UTC, recorded {when(NOW - DAY)} UTC",
        f"received  {when(NOW)} UTC",
    ]
    assert [each["day"] for each in whole["times"]] == [FORMER.day, later.day]
    assert (whole["body"], whole["bodyBase64"], whole["errors"]) == (VALID.decode(), None, UNKNOWN)


def test_bytes_are_shown_as_what_they_are(account: Storage, managedapps: Run) -> None:
    """Not guessed to be in some encoding, and nothing that would command a terminal."""
    body = b"\xff\xfe{\x00\r\x1b[31m\\"
    rejection = refused(body, NOW)
    keep(account, rejection)
    done = managedapps("rejected", "show", rejection.digest)
    whole = json.loads(managedapps("rejected", "show", rejection.digest, "--json").out)

    assert done.out.endswith("\n\n\\xff\\xfe{\\x00\\r\\x1b[31m\\\\\n")
    assert base64.b64decode(whole["bodyBase64"]) == body
    assert whole["body"] is None


def test_a_long_body_is_shown_as_far_as_it_was_kept(account: Storage, managedapps: Run) -> None:
    """And it is said that there was more."""
    keep(account, HUGE)
    done = managedapps("rejected", "show", HUGE.digest)

    assert "size      262,149 bytes, the first 262,144 of which were kept\n" in done.out
    assert done.out.endswith("\n" + "x" * BODY_LIMIT + "\n")


@pytest.mark.parametrize(
    "body",
    [
        '{"a": 1, "a": 2}',
        '{"a": 1.10}',
        '{"a": 1e400}',
        "[" * 3_000,
        "nonsense",
        "1" * 5_000,
        "",
    ],
    ids=lambda body: body[:20],
)
def test_a_body_that_would_lose_something_stays_as_it_is(body: str) -> None:
    """What is shown is what came."""
    assert rejected.indented(body) == body


def test_an_id_must_be_clear(account: Storage, managedapps: Run) -> None:
    """Those that could be meant are named."""
    several = [refused(str(number).encode(), NOW) for number in range(40)]
    keep(account, *several)
    break_(account, dataclasses.replace(several[0], digest=several[0].digest[:1] + "!"), note="whatever this is")
    digests = sorted(rejection.digest for rejection in several)
    first = next(digest[0] for digest in digests if sum(each[0] == digest[0] for each in digests) > 1)
    meant = [digest for digest in digests if digest[0] == first]
    done = managedapps("rejected", "show", first)

    assert done.status == 1
    assert done.err.splitlines() == [
        f"managedapps: {len(meant)} IDs begin with {first}. Give more digits of one:",
        *(f"  {digest}" for digest in meant),
    ]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("abc", "no ID of a refused body begins with abc: see `managedapps rejected list --all`"),
        ("", "'' is not the ID of a refused body: see `managedapps rejected list --all`"),
        ("sales", "'sales' is not the ID of a refused body: see `managedapps rejected list --all`"),
        ("a" * 65, f"'{'a' * 65}' is not the ID of a refused body: see `managedapps rejected list --all`"),
    ],
)
@pytest.mark.parametrize("command", ["show", "retry"])
def test_an_id_that_is_none_is_said(command: str, text: str, said: str, managedapps: Run) -> None:
    """One line, and what to do next."""
    assert managedapps("rejected", command, text) == (1, "", f"managedapps: {said}\n")


# --- retry


def test_after_an_upgrade_it_is_recorded_as_of_when_it_came(account: Storage, managedapps: Run) -> None:
    """First only said, then done, then not done again: inbox and row are what a delivery would have left."""
    came = NOW - 3 * DAY
    keep(account, Rejection.of(VALID, came, UNKNOWN), NONSENSE, HUGE)
    event = Notification.from_body(VALID, now=NOW)
    before = stored(account)
    dry = managedapps("rejected", "retry", "--dry-run")
    assert stored(account) == before
    done = managedapps("rejected", "retry")
    again = managedapps("rejected", "retry")
    kept, inbox, rows = stored(account)

    what = f": PUT Succeeded of 2025-03-01T10:00:00.0000000Z, {events.APPLICATION_ID}\n"
    digest = Rejection.of(VALID, came).digest
    more = "1 more cannot be tried again: only their first 256 KiB were kept.\n"
    assert f"{came:%Y-%m-%d} {digest} would be recorded{what}" in dry.out
    assert dry.err == f"2 of 2 refused bodies tried again, 1 would be recorded, 1 invalid.\n{more}"
    assert f"{came:%Y-%m-%d} {digest} stored{what}" in done.out
    assert f"{NONSENSE.day} {NONSENSE.digest} still invalid: body: Invalid JSON: expected ident at" in done.out
    assert done.err == f"2 of 2 refused bodies tried again, 1 stored, 1 invalid.\n{more}"
    assert again.err == f"1 of 1 refused bodies tried again, 1 invalid.\n{more}"
    assert (dry.status, done.status, again.status) == (1, 1, 1)
    assert inbox == [(event.order, came, VALID.decode())]
    assert rows == [merge(None, event)]
    (mark,) = [each for each in kept if each.digest == digest]
    assert mark == dataclasses.replace(Rejection.of(VALID, came, UNKNOWN), recorded_at=mark.recorded_at)
    assert mark.recorded_at is not None
    assert abs(mark.recorded_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert [each for each in kept if each.digest != digest] == [each for each in before[0] if each.digest != digest]
    assert digest not in managedapps("rejected", "list").out


def test_what_passes_leaves_nothing_to_do(account: Storage, managedapps: Run) -> None:
    """Exit status 0, and 0 again."""
    keep(account, Rejection.of(VALID, NOW, UNKNOWN))

    assert managedapps("rejected", "retry").status == 0
    assert managedapps("rejected", "retry") == (0, "", "0 of 0 refused bodies tried again.\n")


def test_a_body_that_came_on_several_days_is_recorded_once(account: Storage, managedapps: Run) -> None:
    """As of when it came first; all its entries are marked."""
    keep(account, *(Rejection.of(VALID, NOW - days * DAY, UNKNOWN) for days in (1, 3, 2)))
    done = managedapps("rejected", "retry", "--json")
    report = json.loads(done.out)
    kept, inbox, _ = stored(account)

    assert done.status == 0
    assert report["outcomes"] == {"stored": 1, "duplicate": 2}
    assert [(each["day"], each["outcome"]) for each in report["attempts"]] == [
        (f"{NOW - 3 * DAY:%Y-%m-%d}", "stored"),
        (f"{NOW - 2 * DAY:%Y-%m-%d}", "duplicate"),
        (f"{NOW - DAY:%Y-%m-%d}", "duplicate"),
    ]
    assert [received_at for _, received_at, _ in inbox] == [NOW - 3 * DAY]
    assert all(each.recorded_at for each in kept)


def test_only_those_that_are_named_are_tried(account: Storage, managedapps: Run) -> None:
    """By the first digits, also if they were recorded before, or can never be."""
    other = Rejection.of(events.body(eventTime="2025-03-02T10:00:00Z"), NOW, UNKNOWN)
    keep(account, *ALL, other)
    done = managedapps("rejected", "retry", "--json", other.digest[:12], FORMER.digest[:12], HUGE.digest[:12])
    outcomes = {each["id"]: (each["outcome"], each["reason"]) for each in json.loads(done.out)["attempts"]}

    assert done.status == 1
    assert outcomes == {
        other.digest: ("stored", None),
        FORMER.digest: ("recorded before", None),
        HUGE.digest: ("cut short", "only its first 256 KiB were kept"),
    }
    assert managedapps("rejected", "retry", other.digest).status == 0


def test_bytes_that_are_no_text_are_tried_as_they_came(account: Storage, managedapps: Run) -> None:
    """In UTF-16 the body would be a notification, but the app takes UTF-8, as the Marketplace sends."""
    keep(account, Rejection.of(VALID.decode().encode("utf-16"), NOW, UNKNOWN))
    done = managedapps("rejected", "retry", "--json")

    assert done.status == 1
    assert json.loads(done.out)["attempts"][0]["errors"][0]["msg"].startswith("Invalid JSON")


def test_what_lay_too_far_ahead_is_valid_when_its_time_has_come(account: Storage, managedapps: Run) -> None:
    """The clock of the machine was wrong. A rebuild, later, takes it as well."""
    came = datetime(2025, 2, 1, tzinfo=UTC)
    keep(account, refused(VALID, came))

    assert managedapps("rejected", "retry").status == 0
    assert managedapps("rebuild") == (0, "", "1 of 1 rows looked at, none differs from its notifications.\n")


@pytest.mark.parametrize("change", [{"body": events.body().decode()}, {"body": "\ud83d"}], ids=["other", "half a pair"])
def test_a_body_that_somebody_changed_is_not_what_came(
    account: Storage, managedapps: Run, change: dict[str, object]
) -> None:
    """To record it would be to make up an event; `managedapps send` is for that."""
    rejection = Rejection.of(VALID, NOW, UNKNOWN)
    keep(account, rejection)
    break_(account, rejection, **change)
    done = managedapps("rejected", "retry")

    assert done.status == 1
    assert done.out == f"{rejection.day} {rejection.digest} failed: somebody changed it since it came\n"
    assert stored(account)[1:] == ([], [])


def test_a_row_that_somebody_broke_fails_that_one_only(account: Storage, managedapps: Run) -> None:
    """It is said what to mend; the others are recorded."""
    other = events.body(applicationId=events.application_id("other"), eventTime="2025-03-01T10:00:00Z")
    keep(account, Rejection.of(VALID, NOW, UNKNOWN), Rejection.of(other, NOW - DAY, UNKNOWN))
    broken = Notification.from_body(VALID, now=NOW).application_id

    async def break_row() -> None:
        async with Tables.connect(account) as tables:
            client = tables._service.get_table_client("ManagedApplications")  # noqa: SLF001 - the store never does
            await client.create_table()
            await client.create_entity({"PartitionKey": broken.partition_key, "RowKey": broken.row_key})

    asyncio.run(break_row())
    done = managedapps("rejected", "retry")

    assert done.status == 1
    assert done.err == "2 of 2 refused bodies tried again, 1 stored, 1 failed.\n"
    assert f" failed: the row '{broken.partition_key}', '{broken.row_key}' of ManagedApplications is not" in done.out


# --- interrupted, and side by side


@asynccontextmanager
async def opened(storage: Storage, kind: type[Tables] = Tables) -> AsyncIterator[tuple[Tables, Retry]]:
    """Open the tables, and give what tries again on them."""
    async with kind.connect(storage) as tables:
        yield tables, Retry(tables, lambda: datetime.now(UTC))


def test_an_interruption_between_recording_and_marking_does_no_harm(account: Storage, managedapps: Run) -> None:
    """The event is recorded; the next run finds that out, and marks the body."""

    class Stopped(Tables):
        async def mark_recorded(self, *_: object) -> None:
            raise asyncio.CancelledError

    rejection = Rejection.of(VALID, NOW, UNKNOWN)
    keep(account, rejection)

    async def interrupted() -> None:
        async with opened(account, Stopped) as (_, retry):
            with pytest.raises(asyncio.CancelledError):
                await retry.attempt(Key(rejection.day, rejection.digest))

    asyncio.run(interrupted())
    kept, inbox, rows = stored(account)
    assert (len(inbox), len(rows), kept) == (1, 1, [rejection])
    assert rejection.digest in managedapps("rejected", "list").out

    done = managedapps("rejected", "retry")
    kept, *rest = stored(account)
    assert (done.status, done.err) == (0, "1 of 1 refused bodies tried again, 1 duplicate.\n")
    assert rest == [inbox, rows]
    assert kept[0].recorded_at


def test_two_that_try_at_once_do_no_harm(account: Storage) -> None:
    """Both pass, and the mark of one stands."""
    rejection = Rejection.of(VALID, NOW, UNKNOWN)
    keep(account, rejection)

    async def both() -> Sequence[Attempt]:
        key = Key(rejection.day, rejection.digest)
        async with opened(account) as (_, one), opened(account) as (_, other):
            return await asyncio.gather(one.attempt(key), other.attempt(key))

    assert all(attempt.passed for attempt in asyncio.run(both()))
    kept, inbox, rows = stored(account)
    assert (len(inbox), len(rows)) == (1, 1)
    assert kept[0].recorded_at


def racing(others: Callable[[Tables, Rejection], Awaitable[object]], times: int = 1) -> type[Tables]:
    """Give tables on which others do something to a refused body just before it is marked."""
    left = [others] * times

    class Racing(Tables):
        async def mark_recorded(self, rejection: Rejection, version: str, recorded_at: datetime) -> None:
            if left:
                await left.pop()(self, rejection)
            await super().mark_recorded(rejection, version, recorded_at)

    return Racing


async def touched(tables: Tables, rejection: Rejection) -> None:
    """Change a column that nobody reads."""
    client = tables._service.get_table_client(REJECTIONS)  # noqa: SLF001 - the store itself never does
    await client.update_entity({"PartitionKey": rejection.day, "RowKey": rejection.digest, "note": "?"})


async def removed(tables: Tables, rejection: Rejection) -> None:
    """Delete it."""
    client = tables._service.get_table_client(REJECTIONS)  # noqa: SLF001 - the store itself never does
    await client.delete_entity(rejection.day, rejection.digest)


@pytest.mark.parametrize("others", [touched, removed])
def test_a_mark_that_others_forestall_is_settled(
    account: Storage, others: Callable[[Tables, Rejection], Awaitable[object]]
) -> None:
    """What was changed is marked as it is now, and what is gone needs no mark."""
    rejection = Rejection.of(VALID, NOW, UNKNOWN)
    keep(account, rejection)

    async def attempt() -> Attempt:
        async with opened(account, racing(others)) as (_, retry):
            return await retry.attempt(Key(rejection.day, rejection.digest))

    assert asyncio.run(attempt()).outcome == "stored"
    assert all(each.recorded_at for each in stored(account)[0])


def test_a_mark_that_loses_every_race_is_said(account: Storage) -> None:
    """A bounded number of times. The event is recorded all the same, and to run it again does no harm."""
    rejection = Rejection.of(VALID, NOW, UNKNOWN)
    keep(account, rejection)

    async def attempt() -> Attempt:
        async with opened(account, racing(touched, 10)) as (_, retry):
            return await retry.attempt(Key(rejection.day, rejection.digest))

    done = asyncio.run(attempt())

    assert (done.outcome, done.passed) == ("stored", True)
    flaw = r"recorded, but not marked as such: others changed the refused body [0-9a-f]{64}, 3 times running"
    assert re.fullmatch(flaw, done.reason or "")


def test_what_is_deleted_meanwhile_cannot_be_tried(account: Storage) -> None:
    """Between the list and the attempt."""

    async def attempt() -> Attempt:
        async with opened(account) as (_, retry):
            return await retry.attempt(Key("2026-03-01", "0" * 64))

    assert asyncio.run(attempt()).reason == "somebody deleted it meanwhile"


def test_recording_takes_no_longer_than_a_call(account: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild relies on it that inbox and row are written within one deadline, whoever writes them."""

    class Hanging(Tables):
        async def add_notification(self, *_: object) -> bool:
            await asyncio.sleep(60)
            return True

    monkeypatch.setattr(rejections, "DEADLINE", 0.3)
    rejection = Rejection.of(VALID, NOW, UNKNOWN)
    keep(account, rejection)

    async def attempt() -> None:
        async with opened(account, Hanging) as (_, retry):
            await retry.attempt(Key(rejection.day, rejection.digest))

    with pytest.raises(StoreError, match=r"^storage did not answer within 0\.3 seconds$"):
        asyncio.run(attempt())
    assert stored(account)[0] == [rejection]


@pytest.mark.parametrize("how", ["Ctrl-C", "storage"])
def test_what_was_done_is_said_when_it_ends_early(
    account: Storage, managedapps: Run, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The first is recorded and said to be; the others wait for the next run."""
    bodies = [events.body(eventTime=f"2025-03-01T10:0{minute}:00Z") for minute in range(3)]
    keep(account, *(Rejection.of(body, NOW - minute * DAY, UNKNOWN) for minute, body in enumerate(bodies)))
    attempt, left = Retry.attempt, [1]

    async def ending(self: Retry, key: Key) -> Attempt:
        if left:
            left.pop()
            return await attempt(self, key)
        if how == "storage":
            raise StoreError("storage is down", "unreachable")
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(Retry, "attempt", ending)
    done = managedapps("rejected", "retry", "--json")
    monkeypatch.undo()
    report = json.loads(done.out)

    assert (report["chosen"], report["tried"], report["outcomes"]) == (3, 1, {"stored": 1})
    assert (report["stopped"], report["failed"]) == (how == "Ctrl-C", how == "storage")
    assert done.status == (130 if how == "Ctrl-C" else 1)
    said = "1 of 3 refused bodies tried again, 1 stored.\n"
    if how == "Ctrl-C":
        assert done.err == f"Stopped by Ctrl-C.\n{said}"
    else:
        assert done.err.startswith(f"{said}managedapps: storage is down. ")
    assert len(stored(account)[1]) == 1


@pytest.mark.parametrize("command", [[], ["list"], ["show"], ["retry"]])
def test_help_has_an_example(command: list[str], managedapps: Run) -> None:
    """To copy, for the group too."""
    done = managedapps("rejected", command, "--help")

    assert done.status == 0
    assert f"Example: managedapps {' '.join(['rejected', *command])} " in done.out
