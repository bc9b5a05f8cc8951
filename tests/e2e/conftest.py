"""The function behind real HTTP: served by Microsoft's runtime in a process of its own, with a real Azurite."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from importlib.util import find_spec
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from tools.stack import served
from webhook.settings import Storage

SECRET = "correct-horse-battery-staple"
PREVIOUS = "the-one-before-that-was-good-too"


@dataclass(frozen=True, slots=True)
class Response:
    """What a caller gets."""

    status: int
    media_type: str
    content: Any


@dataclass(frozen=True, slots=True)
class Webhook:
    """A running function.

    Attributes:
        url: of the function, without the secret.
        output: every line that its process printed.
    """

    url: str
    output: list[str] = field(default_factory=list)

    def address(self, secret: str | None = SECRET) -> str:
        """Give the URL that the Marketplace would call."""
        return self.url if secret is None else f"{self.url}?secret={quote(secret, safe='')}"

    def post(
        self, body: bytes, *, secret: str | None = SECRET, url: str | None = None, method: str = "POST"
    ) -> Response:
        """Call it; with a secret, with none, or at another URL."""
        request = Request(url or self.address(secret), body, {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=20) as answer:
                return _response(answer.status, answer.headers, answer.read())
        except HTTPError as answer:
            with answer:
                return _response(answer.code, answer.headers, answer.read())

    def log(self, calls: int) -> list[dict[str, Any]]:
        """Give the app's log lines, once there is one for each of so many calls; they come through a pipe."""
        deadline = time.monotonic() + 5
        while True:
            lines = [line[line.index("{") :] for line in self.output if '{"outcome"' in line]
            if len(lines) >= calls or time.monotonic() > deadline:
                return [json.loads(line) for line in lines]
            time.sleep(0.01)


def _response(status: int, headers: Message, body: bytes) -> Response:
    return Response(status, headers.get("Content-Type") or "", json.loads(body) if body else None)


Serve = Callable[..., AbstractContextManager[Webhook]]


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Give a context manager that serves the function with the given settings."""
    if find_spec("azure_functions_runtime") is None:
        pytest.skip("azure-functions-runtime is not installed: it needs Python 3.13 or newer")

    @contextmanager
    def serve_with(**settings: str) -> Iterator[Webhook]:
        output: list[str] = []
        with served(settings, hear=output.append) as stack:
            yield Webhook(stack.url, output)

    return serve_with


@pytest.fixture
def webhook(serve: Serve, storage: Storage) -> Iterator[Webhook]:
    """Serve the function on an account without tables, with a current and a previous secret."""
    settings = {
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_SECRET_PREVIOUS": PREVIOUS,
        "STATE_STORAGE": storage.connection_string,
    }
    with serve(**settings) as running:
        yield running
