"""What a call is answered, in which order it is checked, and the one line that the log has of it."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

import pytest

from tests.events import APPLICATION_ID, NOW, body, content
from tests.fake_store import FakeStore
from webhook import receive
from webhook.receive import Receiver, Reply
from webhook.rejection import BODY_LIMIT
from webhook.settings import Settings, Storage
from webhook.store import Store, StoreError

CURRENT = "current-Cl4ssified-word"
PREVIOUS = "previous-Cl4ssified-word"
WRONG = "wrong-Gu3ssed-word"
ACCOUNT_KEY = "S3ns1t1ve/key=="
LEAKS = ("Cl4ssified", "Gu3ssed", "S3ns1t1ve")
USABLE = {
    "WEBHOOK_SECRET": CURRENT,
    "STATE_STORAGE": "AccountName=example;AccountKey=c2VjcmV0",
}
TRY_AGAIN = {
    "type": "about:blank",
    "title": "Internal Server Error",
    "status": 500,
    "detail": "The notification could not be recorded. Please send it again.",
}
REFUSED = {
    "type": "about:blank",
    "title": "Unauthorized",
    "status": 401,
    "detail": "The query parameter 'secret' is missing or wrong.",
}
OPERATIONS = ("add_notification", "read_application", "insert_application", "replace_application", "add_rejection")
EVENT_FACTS = {"applicationId", "eventType", "provisioningState", "eventTime", "lagSeconds"}


class Untouchable(bytes):
    """A body that must not be looked at."""

    __slots__ = ()

    def __len__(self) -> int:
        """Refuse to be measured."""
        raise AssertionError


class Log(logging.Handler):
    """What the app logged: the lines and their levels."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.levels: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line as any handler would write it."""
        self.lines.append(self.format(record))
        self.levels.append(record.levelname)

    def only(self) -> dict[str, Any]:
        """Give the only line, read as JSON."""
        assert len(self.lines) == 1
        assert "\n" not in self.lines[0]
        facts = json.loads(self.lines[0])
        assert isinstance(facts, dict)
        return facts


@pytest.fixture(name="log")
def _log() -> Iterator[Log]:
    handler = Log()
    logger = logging.getLogger("webhook")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@dataclass
class App:
    """The app on a fake store.

    Attributes:
        settings: what it is configured with.
        opened: the connections that were opened.
        asked: the operations that the store was asked for.
        failing: what an operation raises.
    """

    settings: dict[str, str] = field(default_factory=lambda: dict(USABLE))
    store: FakeStore = field(default_factory=FakeStore)
    opened: list[Storage] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)
    now: datetime = NOW
    deadline: float = receive.DEADLINE

    def __post_init__(self) -> None:
        """Put the app together as function_app does."""
        self.store.gate = self._gate
        self.receiver = Receiver(Settings.from_mapping(self.settings), self._connect, lambda: self.now, self.deadline)

    def post(self, sent: bytes, secret: str | None = CURRENT) -> Reply:
        """Send one notification."""
        return asyncio.run(self.receiver.receive(secret, sent))

    def _connect(self, storage: Storage) -> Store:
        self.opened.append(storage)
        if error := self.failing.get("connect"):
            raise error
        return self.store

    async def _gate(self, operation: str) -> None:
        self.asked.append(operation)
        if error := self.failing.get(operation):
            raise error


def later(minute: int, event_type: str = "PUT", state: str = "Succeeded", **changes: Any) -> bytes:  # noqa: ANN401 - JSON
    """Give an event at a minute past eleven."""
    return body(event_type, state, eventTime=f"2026-03-01T11:{minute:02}:00Z", **changes)


def assert_silent(log: Log, *replies: Reply) -> None:
    """Hold that no secret shows in what was logged or answered."""
    said = [*log.lines, *(reply.body for reply in replies), *map(repr, replies)]
    assert not [text for text in said for leak in LEAKS if leak in text]


# --- 200


def test_a_notification_is_stored_and_answered_200(log: Log) -> None:
    """200 is the one documented success: it says that inbox and row are durable."""
    app = App()

    reply = app.post(body())

    assert reply == Reply(
        HTTPStatus.OK,
        {"outcome": "stored", "applicationId": APPLICATION_ID, "provisioningState": "Accepted"},
    )
    assert json.loads(reply.body) == reply.content
    assert reply.media_type == "application/json"
    assert list(app.store.inbox.values()) == [body().decode()]
    assert [row.application.event_time for row in app.store.rows.values()] == ["2026-03-01T10:00:00.1234567Z"]
    assert log.levels == ["INFO"]


def test_the_first_of_the_accepted_secrets_is_not_the_only_one(log: Log) -> None:
    """While rotating, calls with either secret are served."""
    app = App({**USABLE, "WEBHOOK_SECRET_PREVIOUS": PREVIOUS})

    replies = [app.post(body(), secret) for secret in (CURRENT, PREVIOUS, WRONG)]

    assert [reply.status for reply in replies] == [200, 200, 401]
    assert_silent(log, *replies)


def test_a_redelivery_is_answered_as_a_duplicate() -> None:
    """It is no failure: answered otherwise, it would come again for ten hours."""
    app = App()
    app.post(body())

    reply = app.post(body())

    assert (reply.status, reply.content["outcome"]) == (200, "duplicate")
    assert (len(app.store.inbox), len(app.store.rows)) == (1, 1)


def test_a_superseded_event_is_answered_with_the_latest_state(log: Log) -> None:
    """The state in the answer is the one known, so that nobody takes a late Accepted for the present."""
    app = App()
    app.post(later(30, "DELETE", "Deleting"))

    reply = app.post(later(0, "PUT", "Accepted"))

    assert reply.content == {
        "outcome": "superseded",
        "applicationId": APPLICATION_ID,
        "provisioningState": "Deleting",
    }
    assert json.loads(log.lines[-1])["provisioningState"] == "Accepted"
    assert len(app.store.inbox) == 2


def test_the_answer_spells_the_id_as_the_event_did() -> None:
    """Whoever sent it recognises it."""
    spelt = APPLICATION_ID.lower().removeprefix("/").replace("orders", "bestellungen-für-😀")
    reply = App().post(body(applicationId=spelt))

    assert reply.content["applicationId"] == spelt
    assert spelt in reply.body


@pytest.mark.parametrize("operation", ["add_notification", "insert_application"])
def test_what_was_answered_500_is_stored_by_its_redelivery(operation: str) -> None:
    """Half of it may have been written before the failure; the retry completes it and says so."""
    app = App(failing={operation: StoreError("storage answered 503")})
    first = app.post(body())
    app.failing.clear()

    second = app.post(body())
    third = app.post(body())

    assert [first.status, second.status, third.status] == [500, 200, 200]
    assert [second.content["outcome"], third.content["outcome"]] == ["stored", "duplicate"]
    assert (len(app.store.inbox), len(app.store.rows)) == (1, 1)


# --- 401


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (None, "there is no secret"),
        ("", "there is no secret"),
        (WRONG, "the secret is wrong"),
        (CURRENT[:-1], "the secret is wrong"),
        (f"{CURRENT},{CURRENT}", "the secret is wrong"),
        ("\udcff" + CURRENT, "the secret is wrong"),
        (WRONG * 10_000, "the secret is wrong"),
    ],
    ids=["missing", "empty", "wrong", "prefix", "repeated", "surrogate", "long"],
)
def test_without_the_secret_nothing_is_read_opened_or_kept(log: Log, secret: str | None, reason: str) -> None:
    """Anyone can call the URL: it must cost nothing, and leave nothing behind but a line."""
    app = App()

    reply = app.post(Untouchable(body()), secret)

    assert (reply.status, reply.content) == (401, REFUSED)
    assert reply.media_type == "application/problem+json"
    assert (app.opened, app.asked) == ([], [])
    facts = log.only()
    assert facts.pop("durationMs") >= 0
    assert facts == {"outcome": "refused", "status": 401, "reason": reason, "storageRequests": 0}
    assert log.levels == ["WARNING"]
    assert_silent(log, reply)


# --- 400


def test_an_invalid_body_is_kept_and_answered_400_with_every_field_named(log: Log) -> None:
    """The Marketplace does not retry a 400, so the body must be safe before it is sent."""
    app = App()
    sent = body(eventType="put", plan="S3ns1t1ve")

    reply = app.post(sent)

    errors = [
        {"loc": ["eventType"], "msg": "Input should be 'PUT', 'PATCH' or 'DELETE'"},
        {"loc": ["plan"], "msg": "Input should be an object"},
    ]
    assert json.loads(reply.body) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "The body is not a valid notification.",
        "errors": errors,
    }
    assert (reply.status, reply.media_type) == (400, "application/problem+json")
    [(day, digest)] = app.store.rejections
    [kept] = app.store.rejections.values()
    assert (kept.body, kept.reason, kept.received_at) == (sent.decode(), "invalid", NOW)
    assert (app.store.inbox, app.store.rows) == ({}, {})
    facts = log.only()
    assert facts.pop("durationMs") >= 0
    assert facts == {
        "outcome": "invalid",
        "status": 400,
        "reason": f"kept as {day}, {digest}",
        "size": len(sent),
        "errors": errors,
        "storageRequests": 1,
    }
    assert day == "2026-03-02"
    assert log.levels == ["WARNING"]
    assert_silent(log, reply)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 40_000,
        b"1" * 100_000,
        b"\x00" * 1000,
        body().decode().encode("utf-16"),
        json.dumps({**content(), "error": {"details": [1] * 5_000}}).encode(),
    ],
    ids=["empty", "bytes", "null", "arrays", "objects", "digits", "NULs", "UTF-16", "5,000 errors"],
)
def test_any_nonsense_is_kept_and_answered_400(log: Log, sent: bytes) -> None:
    """A 500 would have the Marketplace send the same nonsense for ten hours."""
    app = App()

    reply = app.post(sent)

    assert reply.status == 400
    assert 1 <= len(reply.content["errors"]) <= 20
    assert len(app.store.rejections) == 1
    assert len(log.only()["errors"]) <= 20
    assert len(reply.body) < 4_000


def test_the_same_invalid_body_is_kept_once_a_day() -> None:
    """A publisher who tries again and again does not fill the table."""
    app = App()
    sent = [bytes(bytearray(b"nonsense")) for _ in range(3)]

    statuses = [app.post(each).status for each in sent[:2]]
    app.now = NOW.replace(day=3)
    statuses.append(app.post(sent[2]).status)

    assert statuses == [400, 400, 400]
    assert [day for day, _ in app.store.rejections] == ["2026-03-02", "2026-03-03"]


def test_an_event_from_too_far_ahead_is_judged_by_the_time_of_its_receipt() -> None:
    """What is refused today may be right tomorrow, and the clock is handed in."""
    app = App()
    sent = body(eventTime="2026-03-03T13:00:00Z")

    assert app.post(sent).status == 400
    app.now = NOW.replace(day=3)
    assert app.post(sent).status == 200


# --- 413


def test_a_body_of_exactly_256_kib_is_served() -> None:
    """The limit is documented, and white space is part of a body."""
    sent = body() + b" " * (BODY_LIMIT - len(body()))

    assert len(sent) == 262_144
    assert App().post(sent).status == 200


def test_a_longer_body_is_answered_413_though_it_is_valid_and_its_beginning_is_kept(log: Log) -> None:
    """It is refused unread; what it was can still be seen."""
    app = App()
    sent = body() + b" " * (BODY_LIMIT + 1 - len(body()))

    reply = app.post(sent)

    # the phrase for 413 is another since Python 3.13
    assert reply.content["title"] in {"Content Too Large", "Request Entity Too Large"}
    assert {name: value for name, value in reply.content.items() if name != "title"} == {
        "type": "about:blank",
        "status": 413,
        "detail": "The body is longer than 256 KiB.",
    }
    assert (reply.status, reply.media_type) == (413, "application/problem+json")
    [kept] = app.store.rejections.values()
    assert kept.body == sent[:-1].decode()
    assert (kept.reason, kept.size, kept.truncated, kept.errors) == ("too_large", 262_145, True, ())
    facts = log.only()
    assert (facts["outcome"], facts["status"], facts["size"], facts["errors"]) == ("too_large", 413, 262_145, [])
    assert facts["storageRequests"] == 1
    assert log.levels == ["WARNING"]


def test_a_body_that_is_too_long_and_nonsense_is_too_long() -> None:
    """Size comes before body: a body too large is never parsed."""
    assert App().post(b"\xff" * (BODY_LIMIT + 1)).status == 413


# --- 500: settings


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "WEBHOOK_SECRET is not set; STATE_STORAGE or AzureWebJobsStorage is not set"),
        ({**USABLE, "WEBHOOK_SECRET": ""}, "WEBHOOK_SECRET is blank"),
        ({**USABLE, "WEBHOOK_SECRET": "Cl4ssified"}, "WEBHOOK_SECRET is shorter than 16 characters"),
        (
            {**USABLE, "WEBHOOK_SECRET": "@Microsoft.KeyVault(SecretUri=https://Cl4ssified)"},
            "WEBHOOK_SECRET is a Key Vault reference that App Service could not resolve",
        ),
        ({"WEBHOOK_SECRET": CURRENT}, "STATE_STORAGE or AzureWebJobsStorage is not set"),
        (
            {**USABLE, "STATE_STORAGE": f"AccountName=x;AccountKey={ACCOUNT_KEY}x"},
            "STATE_STORAGE has an AccountKey that is not Base64: was it cut off when it was copied?",
        ),
    ],
    ids=["nothing set", "blank", "short", "Key Vault", "no storage", "bad key"],
)
@pytest.mark.parametrize("secret", [CURRENT, WRONG, "", None], ids=["right", "wrong", "empty", "missing"])
def test_misconfigured_is_500_for_everyone_whatever_else_is_wrong(
    log: Log, settings: dict[str, str], reason: str, secret: str | None
) -> None:
    """Settings come first: never open, never a 401 that loses the event, and the log says which setting to mend."""
    app = App(settings)

    reply = app.post(Untouchable(b"x"), secret)

    assert (reply.status, reply.content) == (500, TRY_AGAIN)
    assert (app.opened, app.asked) == ([], [])
    facts = log.only()
    assert facts.pop("durationMs") >= 0
    assert facts == {"outcome": "misconfigured", "status": 500, "reason": reason, "storageRequests": 0}
    assert log.levels == ["ERROR"]
    assert_silent(log, reply)


@pytest.mark.parametrize("presented", ["", "short", "@Microsoft.KeyVault(x)"])
def test_an_unusable_secret_never_opens_the_app_to_whoever_guesses_it(presented: str) -> None:
    """The value that is configured by mistake is not accepted either."""
    app = App({**USABLE, "WEBHOOK_SECRET": presented})

    assert app.post(body(), presented).status == 500
    assert app.opened == []


def test_an_unusable_previous_secret_is_warned_about_once_a_process(log: Log) -> None:
    """Once is enough to be found, and a line a call would bury the rest."""
    app = App({**USABLE, "WEBHOOK_SECRET_PREVIOUS": "Cl4ssified"})

    statuses = [app.post(body()).status, app.post(body(), WRONG).status, app.post(body(), "Cl4ssified").status]

    assert statuses == [200, 401, 401]
    assert log.levels == ["WARNING", "INFO", "WARNING", "WARNING"]
    assert json.loads(log.lines[0]) == {
        "outcome": "warning",
        "reason": "WEBHOOK_SECRET_PREVIOUS is shorter than 16 characters; it is ignored",
    }
    assert_silent(log)


# --- 500: storage


def failing_calls() -> list[Any]:
    """Give, for each operation, the calls that come to it."""
    warm = [later(0, "PUT", "Accepted")]
    return [
        pytest.param("connect", [], body(), id="connect"),
        pytest.param("connect", [], b"nonsense", id="connect for a rejection"),
        pytest.param("add_notification", [], body(), id="inbox"),
        pytest.param("insert_application", [], body(), id="insert"),
        pytest.param("read_application", [], later(5), id="read"),
        pytest.param("replace_application", warm, later(5), id="replace"),
        pytest.param("read_application", warm, warm[0], id="read of a duplicate"),
        pytest.param("add_rejection", [], b"nonsense", id="rejection"),
        pytest.param("add_rejection", [], b"x" * (BODY_LIMIT + 1), id="rejection of a long body"),
    ]


@pytest.mark.parametrize(("operation", "before", "sent"), failing_calls())
def test_whatever_storage_refuses_is_500_and_done_by_the_next_call(
    log: Log, operation: str, before: list[bytes], sent: bytes
) -> None:
    """Nothing is answered before it is durable; 500 makes the Marketplace come again, and then it is."""
    reference = App().post(sent).status
    app = App()
    for each in before:
        assert app.post(bytes(bytearray(each))).status == 200
    log.lines.clear()
    log.levels.clear()
    app.failing[operation] = StoreError("inserting a row failed: storage answered 503 ServerBusy")

    reply = app.post(bytes(bytearray(sent)))

    assert (reply.status, reply.content) == (500, TRY_AGAIN)
    assert reply.media_type == "application/problem+json"
    assert "503" not in reply.body
    facts = log.only()
    assert (facts["outcome"], facts["status"]) == ("failed", 500)
    assert facts["reason"] == "inserting a row failed: storage answered 503 ServerBusy"
    assert log.levels == ["ERROR"]
    app.failing.clear()
    assert app.post(bytes(bytearray(sent))).status == reference


def test_the_store_is_opened_once_and_only_when_it_is_needed() -> None:
    """Connections are kept for the life of a process; a call without the secret opens none."""
    app = App()

    app.post(body(), WRONG)
    opened = len(app.opened)
    for _ in range(3):
        app.post(body())
        app.post(b"nonsense")

    assert opened == 0
    assert app.opened == [Storage("STATE_STORAGE", USABLE["STATE_STORAGE"])]


def test_a_store_that_could_not_be_opened_is_tried_again() -> None:
    """A failure in passing must not stay until the next restart."""
    app = App(failing={"connect": StoreError("no")})
    statuses = [app.post(body()).status, app.post(body()).status]
    app.failing.clear()
    statuses.append(app.post(body()).status)

    assert statuses == [500, 500, 200]
    assert len(app.opened) == 3


@pytest.mark.parametrize(
    ("operation", "sent"),
    [
        ("add_notification", body()),
        ("insert_application", body()),
        ("read_application", later(5)),
        ("add_rejection", b"nonsense"),
        ("add_rejection", b"x" * (BODY_LIMIT + 1)),
    ],
    ids=["inbox", "insert", "read", "rejection", "long body"],
)
def test_storage_that_hangs_is_500_within_the_deadline(log: Log, operation: str, sent: bytes) -> None:
    """The Marketplace gives up on a slow answer; a 500 in time keeps the event coming."""
    app = App(deadline=0.05)

    async def hang(asked: str) -> None:
        if asked == operation:
            await asyncio.sleep(3_600)

    app.store.gate = hang
    started = time.monotonic()

    reply = app.post(sent)

    assert time.monotonic() - started < 1
    assert (reply.status, reply.content) == (500, TRY_AGAIN)
    facts = log.only()
    assert (facts["outcome"], facts["reason"]) == ("failed", "storage did not answer within 0.05 seconds")
    assert 50 <= facts["durationMs"] < 1_000
    assert log.levels == ["ERROR"]


def test_with_an_identity_it_may_be_the_token_that_hangs(log: Log) -> None:
    """The first request waits for a token; whoever looks for the cause must look there too."""
    app = App({"WEBHOOK_SECRET": CURRENT, "STATE_STORAGE__accountName": "example"}, deadline=0.02)

    async def hang(_operation: str) -> None:
        await asyncio.sleep(3_600)

    app.store.gate = hang

    assert app.post(body()).status == 500
    assert log.only()["reason"] == "storage or the identity service did not answer within 0.02 seconds"


def test_a_time_out_that_is_not_the_deadline_is_not_blamed_on_storage(log: Log) -> None:
    """Whoever reads the line at night looks where it points."""
    app = App(failing={"read_application": TimeoutError()})

    assert app.post(later(5)).status == 500
    assert log.only()["reason"].startswith("a bug: TimeoutError at ")


def test_the_deadline_leaves_time_to_answer_within_eight_seconds() -> None:
    """The contract is 8 seconds for the whole call, of which the work is only a part."""
    assert 0 < receive.DEADLINE <= 7.5


def test_a_row_that_others_never_stop_changing_is_500(log: Log) -> None:
    """Every race lost is as bad as storage being down, and as temporary."""
    app = App()
    app.post(later(0, "PUT", "Accepted"))
    log.lines.clear()

    async def always_changed(operation: str) -> None:
        if operation == "replace_application":
            for key, row in app.store.rows.items():
                app.store.rows[key] = row._replace(version=f"{row.version}+")

    app.store.gate = always_changed

    assert app.post(later(5)).status == 500
    assert log.only()["reason"] == "others changed the application's row first, 10 times running"


# --- 500: bugs


@pytest.mark.parametrize(
    ("operation", "sent"),
    [
        ("connect", body()),
        ("add_notification", body()),
        ("insert_application", body()),
        ("add_rejection", b"nonsense"),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(f"cannot use {CURRENT}"),
        ValueError(f"bad key {ACCOUNT_KEY}", {"key": ACCOUNT_KEY}),
        KeyError(ACCOUNT_KEY),
        RecursionError(CURRENT),
        OSError(5, f"no access to {ACCOUNT_KEY}"),
        UnicodeDecodeError("utf-8", CURRENT.encode(), 0, 1, CURRENT),
        ExceptionGroup(CURRENT, [RuntimeError(ACCOUNT_KEY)]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_bug_is_500_and_logged_by_type_and_place_and_never_by_its_text(
    log: Log, operation: str, sent: bytes, error: Exception
) -> None:
    """Exceptions hold whatever someone put into them, keys too; type and lines are enough to find the bug."""
    app = App(failing={operation: error})

    reply = app.post(sent)

    assert (reply.status, reply.content) == (500, TRY_AGAIN)
    facts = log.only()
    assert facts["outcome"] == "failed"
    assert facts["reason"].startswith(f"a bug: {type(error).__name__} at receive.py:")
    assert " > test_receive.py:" in facts["reason"]
    assert "/" not in facts["reason"]
    assert log.levels == ["ERROR"]
    assert_silent(log, reply)
    app.failing.clear()
    assert app.post(sent).status in {200, 400}


# --- the log line


def test_the_line_of_a_recorded_event_has_every_documented_fact(log: Log) -> None:
    """Dashboards and alerts are built on these names."""
    App().post(body("PUT", "Failed"))

    facts = log.only()
    duration = facts.pop("durationMs")
    assert isinstance(duration, float)
    assert 0 <= duration < 1_000
    assert facts == {
        "outcome": "stored",
        "status": 200,
        "applicationId": APPLICATION_ID,
        "eventType": "PUT",
        "provisioningState": "Failed",
        "eventTime": "2026-03-01T10:00:00.1234567Z",
        "lagSeconds": 93_599.877,
        "storageRequests": 3,
    }
    assert list(json.loads(log.lines[0]))[:2] == ["outcome", "status"]


@pytest.mark.parametrize(
    ("sent", "lag"),
    [
        ("2026-03-02T12:00:00Z", 0.0),
        ("2026-03-02T11:59:59.9999999Z", 0.0),
        ("2026-03-02T11:59:58.5Z", 1.5),
        ("2026-03-02T02:00:00Z", 36_000.0),
        ("2026-03-02T12:00:02.25Z", -2.25),
        ("2026-03-02T14:00:00+02:30", 1_800.0),
    ],
)
def test_the_lag_is_in_seconds_and_negative_where_clocks_differ(log: Log, sent: str, lag: float) -> None:
    """Growing lag is the first sign of retries."""
    App().post(body(eventTime=sent))

    assert log.only()["lagSeconds"] == pytest.approx(lag, abs=0.001)


@pytest.mark.parametrize(
    ("before", "sent", "requests"),
    [
        ([], later(0, "PUT", "Accepted"), 2),
        ([], later(5), 3),
        ([later(0, "PUT", "Accepted")], later(5), 2),
        ([later(0, "PUT", "Accepted")], later(0, "PUT", "Accepted"), 2),
        ([], b"nonsense", 1),
    ],
    ids=["first", "cold later", "warm later", "duplicate", "rejection"],
)
def test_each_line_counts_the_storage_requests_of_its_own_call(
    log: Log, before: list[bytes], sent: bytes, requests: int
) -> None:
    """Requests are what storage costs in money and time."""
    app = App()
    for each in before:
        app.post(bytes(bytearray(each)))

    app.post(bytes(bytearray(sent)))

    assert json.loads(log.lines[-1])["storageRequests"] == requests


def test_calls_that_run_together_have_each_its_own_count(log: Log) -> None:
    """One process serves many calls at once on one loop, as the Functions worker does: a task each."""
    app = App()

    async def together() -> list[Reply]:
        gathered = asyncio.Event()

        async def wait(_operation: str) -> None:
            app.asked.append(_operation)
            if len(app.asked) >= 8:
                gathered.set()
            await gathered.wait()

        app.store.gate = wait
        calls = [app.receiver.receive(CURRENT, body(applicationId=f"{APPLICATION_ID}-{number}")) for number in range(4)]
        return list(await asyncio.gather(*calls))

    replies = asyncio.run(together())

    assert [reply.status for reply in replies] == [200] * 4
    assert len(app.opened) == 1
    assert [json.loads(line)["storageRequests"] for line in log.lines] == [2] * 4


SITUATIONS: dict[str, tuple[Callable[[], App], bytes, str | None, int, str]] = {
    "stored": (App, body(note="S3ns1t1ve"), CURRENT, 200, "INFO"),
    "wrong secret": (App, body(note="S3ns1t1ve"), WRONG, 401, "WARNING"),
    "no secret": (App, body(note="S3ns1t1ve"), None, 401, "WARNING"),
    "invalid": (App, body(eventType="S3ns1t1ve"), CURRENT, 400, "WARNING"),
    "not JSON": (App, b"S3ns1t1ve\r\n{}", CURRENT, 400, "WARNING"),
    "too large": (App, b"S3ns1t1ve" * 40_000, CURRENT, 413, "WARNING"),
    "misconfigured": (lambda: App({"WEBHOOK_SECRET": "Cl4ssified"}), body(), "Cl4ssified", 500, "ERROR"),
    "storage down": (
        lambda: App(failing=dict.fromkeys(OPERATIONS, StoreError("storage answered 503"))),
        body(note="S3ns1t1ve"),
        CURRENT,
        500,
        "ERROR",
    ),
    "a bug": (
        lambda: App(failing=dict.fromkeys(OPERATIONS, RuntimeError(CURRENT))),
        body(note="S3ns1t1ve"),
        CURRENT,
        500,
        "ERROR",
    ),
    "a bug in keeping a rejection": (
        lambda: App(failing=dict.fromkeys(OPERATIONS, RuntimeError(CURRENT))),
        b"S3ns1t1ve",
        CURRENT,
        500,
        "ERROR",
    ),
}


@pytest.mark.parametrize(("make", "sent", "secret", "status", "level"), SITUATIONS.values(), ids=SITUATIONS.keys())
def test_every_call_has_one_line_of_json_and_never_a_secret_or_a_body(  # noqa: PLR0913, PLR0917 - a table's columns
    log: Log, make: Callable[[], App], sent: bytes, secret: str | None, status: int, level: str
) -> None:
    """Logs are read by more people than may know the secret, and a line a call is what can be counted."""
    reply = make().post(sent, secret)

    facts = log.only()
    assert reply.status == facts["status"] == status
    assert log.levels == [level]
    assert {"outcome", "status", "storageRequests", "durationMs"} <= facts.keys()
    assert "url" not in " ".join(facts).lower()
    assert_silent(log, reply)
    assert json.loads(reply.body).get("status", 200) == status


@pytest.mark.parametrize(
    "name", ["a\u2028b", "ünïcödé", "😀", "a\u0085b".replace("\u0085", "_"), 'quote"s', "{}", "%s %d"]
)
def test_a_name_cannot_break_the_line(log: Log, name: str) -> None:
    """A line break within a name would forge a second line."""
    App().post(body(applicationId=f"{APPLICATION_ID}{name}"))

    assert log.only()["applicationId"] == f"{APPLICATION_ID}{name}"
    assert log.lines[0].isascii()
    assert log.lines[0].splitlines() == log.lines


def test_a_failed_event_is_named_in_its_line(log: Log) -> None:
    """The operator who reads 500 needs to know which customer waits."""
    App(failing={"add_notification": StoreError("storage answered 503")}).post(body())

    facts = log.only()
    assert facts.keys() >= EVENT_FACTS
    assert facts["applicationId"] == APPLICATION_ID


def test_making_a_receiver_does_nothing() -> None:
    """It is made at import, when there is no event loop yet."""
    app = App({})

    assert (app.opened, app.asked) == ([], [])


def test_the_time_of_receipt_is_now_unless_a_clock_is_handed_in() -> None:
    """In Azure it is the real clock, in UTC."""
    store = FakeStore()
    receiver = Receiver(Settings.from_mapping(USABLE), lambda _: store)

    asyncio.run(receiver.receive(CURRENT, b"nonsense"))

    [kept] = store.rejections.values()
    assert abs((datetime.now(kept.received_at.tzinfo) - kept.received_at).total_seconds()) < 60
    assert kept.received_at.utcoffset() == NOW.utcoffset()
