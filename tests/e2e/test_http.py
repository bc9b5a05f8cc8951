"""The HTTP contract, row by row, as the Marketplace meets it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.request import Request, urlopen

import pytest
from azure.data.tables import TableServiceClient

from tests import events
from tests.e2e.conftest import PREVIOUS, SECRET, Serve, Webhook
from tests.relay import Choose, Fault, Relay
from tools.azurite import Azurite, connection_string
from webhook.rejection import BODY_LIMIT
from webhook.settings import Storage
from webhook.tables import REJECTIONS


def test_a_first_event_is_stored(webhook: Webhook) -> None:
    """200 says that notification and state are durable, and repeats what is now known."""
    answer = webhook.post(events.body("PUT", "Accepted"))
    assert (answer.status, answer.media_type.partition(";")[0]) == (200, "application/json")
    assert answer.content == {
        "outcome": "stored",
        "applicationId": events.APPLICATION_ID,
        "provisioningState": "Accepted",
    }


def test_the_three_outcomes(webhook: Webhook) -> None:
    """Stored, duplicate, superseded: for an event that is not the latest, the state is not its own."""
    accepted = events.body("PUT", "Accepted")
    succeeded = events.body("PUT", "Succeeded", eventTime="2026-03-01T10:06:00Z")
    between = events.body("PUT", "Failed", eventTime="2026-03-01T10:05:00Z")
    answers = [webhook.post(body).content for body in (succeeded, accepted, accepted, between, succeeded)]
    assert [(answer["outcome"], answer["provisioningState"]) for answer in answers] == [
        ("stored", "Succeeded"),
        ("superseded", "Succeeded"),
        ("duplicate", "Succeeded"),
        ("superseded", "Succeeded"),
        ("duplicate", "Succeeded"),
    ]


def test_both_secrets_are_accepted_while_rotating(webhook: Webhook) -> None:
    """Between the new app setting and the new URL in Partner Center, no event may be refused."""
    assert webhook.post(events.body(), secret=SECRET).status == 200
    assert webhook.post(events.body(), secret=PREVIOUS).status == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?secret=",
        "?secret=wrong",
        f"?secret={SECRET}x",
        f"?secret={SECRET[:-1]}",
        f"?secret={SECRET.upper()}",
        f"?secret={SECRET}&secret={SECRET}",
        f"?secret=wrong&secret={SECRET}",
        f"?other={SECRET}",
        f"?Secret=&secret=%20{SECRET}",
        "?secret=%C3%A9%E6%97%A5%F0%9F%98%80",
        "?secret=%FF%FE%ED%A0%80",
        "?secret=" + "x" * 7000,
    ],
)
def test_a_secret_that_is_missing_or_wrong_is_refused(webhook: Webhook, query: str) -> None:
    """401 in every case, with problem details; nothing is read, let alone stored."""
    answer = webhook.post(b"[" * 1000, url=webhook.url + query)
    assert (answer.status, answer.media_type.partition(";")[0]) == (401, "application/problem+json")
    assert answer.content == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "The query parameter 'secret' is missing or wrong.",
    }
    assert [line["storageRequests"] for line in webhook.log(1)] == [0]


def test_a_body_that_is_no_notification_is_refused_and_kept(webhook: Webhook, storage: Storage) -> None:
    """400 names each field; the Marketplace does not come back, so the body must not be lost."""
    body = events.body(eventType="POST", eventTime="yesterday", plan={"name": {}})
    answer = webhook.post(body)
    assert (answer.status, answer.media_type.partition(";")[0]) == (400, "application/problem+json")
    assert answer.content["errors"] == [
        {"loc": ["eventType"], "msg": "Input should be 'PUT', 'PATCH' or 'DELETE'"},
        {"loc": ["eventTime"], "msg": "Input should be a UTC timestamp such as 2026-03-01T10:00:00.1234567Z"},
        {"loc": ["plan", "name"], "msg": "Input should be a valid string"},
    ]
    assert _rejected(storage) == [body.decode()]


@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 5 * 1024 * 1024])
def test_a_body_over_256_kib_is_refused_and_its_beginning_kept(webhook: Webhook, storage: Storage, size: int) -> None:
    """413, and the first 256 KiB stay for whoever wants to know what that was."""
    answer = webhook.post(b"x" * size)
    assert (answer.status, answer.content["detail"]) == (413, "The body is longer than 256 KiB.")
    assert _rejected(storage) == ["x" * BODY_LIMIT]


def test_a_body_of_256_kib_is_taken(webhook: Webhook) -> None:
    """The limit itself is still within."""
    body = events.body()
    assert webhook.post(body + b" " * (BODY_LIMIT - len(body))).status == 200


def test_any_content_type_is_taken(webhook: Webhook) -> None:
    """`curl -d` sends a form's, and the body is JSON all the same."""
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"):
        request = Request(webhook.address(), events.body(), {"Content-Type": content_type})
        with urlopen(request, timeout=20) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/resource"), ("PUT", "/api/resource"), ("DELETE", "/api/resource"), ("HEAD", "/api/resource")]
    + [("POST", path) for path in ("/", "/api", "/resource", "/api/resource/resource", "/api/other")],
)
def test_another_method_or_path_is_not_there(webhook: Webhook, method: str, path: str) -> None:
    """404 by the host: for the Marketplace that is a reason to try again, so a wrong URL can be mended in time."""
    host = webhook.url.removesuffix("/api/resource")
    assert webhook.post(events.body(), url=f"{host}{path}?secret={SECRET}", method=method).status == 404


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "WEBHOOK_SECRET is not set"),
        ({"WEBHOOK_SECRET": ""}, "WEBHOOK_SECRET is blank"),
        ({"WEBHOOK_SECRET": "short"}, "WEBHOOK_SECRET is shorter than 16 characters"),
        (
            {"WEBHOOK_SECRET": "@Microsoft.KeyVault(SecretUri=https://vault.example/secrets/webhook)"},
            "WEBHOOK_SECRET is a Key Vault reference that App Service could not resolve",
        ),
        ({"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": "AccountName=x"}, "STATE_STORAGE has neither an AccountName"),
        (
            {"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": "", "AzureWebJobsStorage": ""},
            "STATE_STORAGE or AzureWebJobsStorage is not set",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_misconfigured_app_lets_nobody_in_and_loses_nothing(
    serve: Serve, settings: dict[str, str], reason: str
) -> None:
    """500, whatever the secret: the Marketplace comes back, and the log line names the setting that is to be mended."""
    with serve(**{"STATE_STORAGE": "UseDevelopmentStorage=true", **settings}) as webhook:
        for secret in (SECRET, None, "", "short", settings.get("WEBHOOK_SECRET")):
            answer = webhook.post(events.body(), secret=secret)
            assert (answer.status, answer.media_type.partition(";")[0]) == (500, "application/problem+json")
            assert answer.content == {
                "type": "about:blank",
                "title": "Internal Server Error",
                "status": 500,
                "detail": "The notification could not be recorded. Please send it again.",
            }
        lines = webhook.log(5)
        assert len(lines) == 5
        assert all(line["outcome"] == "misconfigured" and reason in line["reason"] for line in lines)


def test_storage_that_is_down_is_a_500_and_the_next_delivery_is_recorded(serve: Serve, storage: Storage) -> None:
    """The Marketplace tries again for 10 hours; the instance must not need a restart to recover."""
    azurite = Azurite()
    azurite.start()
    azurite.stop()
    del storage
    with serve(WEBHOOK_SECRET=SECRET, STATE_STORAGE=azurite.connection_string) as webhook:
        assert [webhook.post(body).status for body in (events.body(), b"{}", b"x" * 300_000)] == [500, 500, 500]
        assert all("could not be reached: ClientConnectorError" in line["reason"] for line in webhook.log(3))
        with azurite:
            assert [webhook.post(body).status for body in (events.body(), b"{}", b"x" * 300_000)] == [200, 400, 413]


@pytest.mark.parametrize("body", [events.body(), b"{}"], ids=["valid", "invalid"])
def test_storage_that_hangs_is_a_500_within_8_seconds(
    serve: Serve, storage: Storage, azurite: Azurite, body: bytes
) -> None:
    """A caller that waits for ever is worse than one that is told to come back."""
    del storage

    async def run() -> None:
        async with _relay(azurite, lambda _: Fault.HANG) as port:
            with serve(WEBHOOK_SECRET=SECRET, STATE_STORAGE=connection_string(port)) as webhook:
                started = time.monotonic()
                answer = await asyncio.to_thread(webhook.post, body)
                assert answer.status == 500
                assert 6 < time.monotonic() - started < 8
                assert "storage did not answer within 7 seconds" in webhook.log(1)[0]["reason"]

    asyncio.run(run())


def test_a_storage_that_throttles_is_a_500(serve: Serve, storage: Storage, azurite: Azurite) -> None:
    """503 ServerBusy is repeated twice within the call, then left to the Marketplace, whose pauses are longer."""
    del storage

    async def run() -> None:
        async with _relay(azurite, lambda _: Fault.BUSY) as port:
            with serve(WEBHOOK_SECRET=SECRET, STATE_STORAGE=connection_string(port)) as webhook:
                assert (await asyncio.to_thread(webhook.post, events.body())).status == 500
                assert "storage answered 503 ServerBusy" in webhook.log(1)[0]["reason"]

    asyncio.run(run())


def test_one_log_line_a_call(webhook: Webhook) -> None:
    """The line is what alerts and an operator at night read: always there, always complete, always JSON."""
    webhook.post(events.body("PUT", "Accepted"))
    webhook.post(events.body("PUT", "Accepted"))
    webhook.post(b"{}")
    webhook.post(events.body(), secret="wrong")
    stored, duplicate, invalid, refused = webhook.log(4)
    assert list(stored) == [
        "outcome",
        "status",
        "applicationId",
        "eventType",
        "provisioningState",
        "eventTime",
        "lagSeconds",
        "storageRequests",
        "durationMs",
    ]
    assert [line["outcome"] for line in (stored, duplicate, invalid, refused)] == [
        "stored",
        "duplicate",
        "invalid",
        "refused",
    ]
    assert stored["applicationId"] == events.APPLICATION_ID
    assert stored["eventTime"] == "2026-03-01T10:00:00.1234567Z"
    assert duplicate["storageRequests"] == 2
    assert invalid["errors"][0] == {"loc": ["eventType"], "msg": "Field required"}
    assert refused == {"outcome": "refused", "status": 401, "reason": "the secret is wrong"} | {
        name: refused[name] for name in ("storageRequests", "durationMs")
    }


def test_no_secret_is_ever_printed(serve: Serve, azurite: Azurite, storage: Storage) -> None:
    """Neither secrets, right or wrong, nor account keys, URLs or bodies: logs are read by many and kept for long."""
    del storage
    key = azurite.connection_string.split("AccountKey=")[1].partition(";")[0]
    marker = "marker-in-the-body"
    settings = {
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_SECRET_PREVIOUS": PREVIOUS,
        "STATE_STORAGE": azurite.connection_string,
    }
    with serve(**settings) as webhook:
        answers = [
            webhook.post(body, secret=secret)
            for secret in (SECRET, PREVIOUS, "wrong-and-secret-too")
            for body in (events.body(note=marker), events.body(eventType=marker), marker.encode(), b"x" * 300_000)
        ]
        azurite.stop()
        answers.append(webhook.post(events.body(note=marker)))
        azurite.start()
        assert len(webhook.log(len(answers))) == len(answers)
        everything = "\n".join([*webhook.output, *map(repr, answers)])
    for secret in (SECRET, PREVIOUS, "wrong-and-secret-too", key, "secret=", marker):
        assert secret not in everything


@asynccontextmanager
async def _relay(azurite: Azurite, choose: Choose) -> AsyncIterator[int]:
    async with Relay(azurite.port, choose) as relay:
        yield relay.port


def _rejected(storage: Storage) -> list[object]:
    with TableServiceClient.from_connection_string(storage.connection_string or "") as service:
        return [
            "".join(str(entity[name]) for name in sorted(entity) if name.startswith("body"))
            for entity in service.get_table_client(REJECTIONS).list_entities()
        ]
