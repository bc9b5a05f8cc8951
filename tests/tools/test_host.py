"""What `tools/host.py` does in the .NET host's place: routes, requests, failures, and nothing that shows a secret."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.tools.conftest import FUNCTION_APP, gone, needs_runtime, needs_signals
from tools.azurite import ROOT
from tools.problem import Problem
from tools.stack import Host, served

pytestmark = needs_runtime


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def heard(self) -> Any:  # noqa: ANN401 - JSON
        """What the function says that it got."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """The app, served, and every line that its host printed."""

    host: Host
    output: list[str]

    def call(self, target: str, method: str = "POST", body: Any = b"{}", **options: Any) -> Answer:  # noqa: ANN401 - http.client's
        """Send one request, and read the answer."""
        connection = HTTPConnection("127.0.0.1", self.host.port, timeout=20)
        try:
            connection.request(method, target, body, **options)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read())
        finally:
            connection.close()

    def said(self, what: str) -> list[str]:
        """Give the printed lines that hold some text, once there is one: they come through a pipe."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if lines := [line for line in self.output if what in line]:
                return lines
            time.sleep(0.01)
        return []


@pytest.fixture(scope="module")
def served_app(app: Path) -> Iterator[Served]:
    """Serve the app that says what reached it."""
    output: list[str] = []
    with served({"STATE_STORAGE": "given"}, app=app, hear=output.append) as host:
        yield Served(host, output)


@pytest.mark.parametrize("path", ["/api/resource", "/API/Resource", "/api/resource/", "/api/%72esource"])
def test_a_route_is_found_however_it_is_spelt(path: str, served_app: Served) -> None:
    """The .NET host compares paths unescaped and without regard to case, and forgives a slash at the end."""
    assert served_app.call(path).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/api", "/resource", "/api/resource/resource", "/api//resource", "/api/resources"]
)
def test_another_path_is_not_found(path: str, served_app: Served) -> None:
    """What has no route is a 404 with no body."""
    answer = served_app.call(path)

    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_not_found(method: str, served_app: Served) -> None:
    """The .NET host answers 404, not 405."""
    answer = served_app.call("/api/resource", method)

    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "1,2"}),
        ("a=&b&a=1&=", {"a": "1"}),
        ("note=1&NOTE=2", {"note": "1,2"}),
        ("a=x+y%20z%2B", {"a": "x y z+"}),
        ("a=%C3%A4%E2%82%AC", {"a": "ä€"}),
        ("a=%ff%C3%A4%zz%", {"a": "%FFä%zz%"}),
        ("a=1=2;b=3", {"a": "1=2;b=3"}),
        ("%61=1", {"a": "1"}),
    ],
    ids=["none", "two", "repeated", "empty", "case", "blanks", "non-ASCII", "no UTF-8", "delimiters", "escaped name"],
)
def test_query_parameters_arrive_as_from_the_net_host(query: str, params: dict[str, str], served_app: Served) -> None:
    """Repeated ones are joined by a comma, empty ones are left out, and what cannot be unescaped stays as it is."""
    assert served_app.call(f"/api/resource?{query}").heard["params"] == params


def test_the_function_sees_the_whole_url(served_app: Served) -> None:
    """As in Azure, `req.url` carries the secret: that the function never logs it must be provable here."""
    heard = served_app.call("/api/resource?secret=a%20b", headers={"Host": "app.example"}).heard

    assert heard["url"] == "http://app.example/api/resource?secret=a%20b"


def test_header_names_arrive_in_lower_case(served_app: Served) -> None:
    """The .NET host lowers them, and joins repeated ones."""
    connection = HTTPConnection("127.0.0.1", served_app.host.port, timeout=20)
    connection.putrequest("POST", "/api/resource")
    for name, value in (("X-One", "1"), ("x-one", "2"), ("Content-Length", "0")):
        connection.putheader(name, value)
    connection.endheaders()
    heard = json.loads(connection.getresponse().read())
    connection.close()

    assert heard["headers"]["x-one"] == "1,2"


@pytest.mark.parametrize("size", [0, 1, 300 * 1024, 5 * 1024 * 1024])
def test_a_body_arrives_whole(size: int, served_app: Served) -> None:
    """The app's own limit must be reachable: the host's is 100 MB."""
    assert served_app.call("/api/resource", body=b"\xff" * size).heard["size"] == size


def test_a_chunked_body_arrives_empty(served_app: Served) -> None:
    """The .NET host hands over a body only where Content-Length says that there is one."""
    answer = served_app.call("/api/resource", body=iter([b"abc"]), encode_chunked=True)

    assert (answer.status, answer.heard["size"]) == (200, 0)


def test_a_body_over_the_hosts_limit_is_refused(served_app: Served) -> None:
    """It never reaches the function."""
    with socket.create_connection(("127.0.0.1", served_app.host.port), timeout=20) as connection:
        connection.sendall(b"POST /api/resource HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_the_answer_is_the_functions(served_app: Served) -> None:
    """Status, headers and media type arrive as the function gave them."""
    answer = served_app.call("/api/resource?status=413&kind=special")

    assert answer.status == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-kind"] == "special"


def test_a_function_that_raises_is_a_500_with_no_body(served_app: Served) -> None:
    """The caller learns nothing of the inside; the developer sees the error on standard error."""
    answer = served_app.call("/api/resource?fail=1")

    assert (answer.status, answer.body) == (500, b"")
    assert served_app.said("ERROR resource failed: RuntimeError: boom")


def test_a_header_that_is_none_is_a_500(served_app: Served) -> None:
    """No function can split an answer in two."""
    answer = served_app.call("/api/resource?kind=a%0d%0aSet-Cookie:b")

    assert (answer.status, answer.body) == (500, b"")


def test_invocations_run_side_by_side(served_app: Served) -> None:
    """As in the worker: an invocation that waits does not hold up the next."""
    started = time.monotonic()
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(served_app.call, ["/api/resource?sleep=0.3"] * 8))

    assert [answer.status for answer in answers] == [200] * 8
    assert time.monotonic() - started < 1.5


def test_settings_are_environment_variables(served_app: Served) -> None:
    """As in Azure."""
    assert served_app.call("/api/resource").heard["storage"] == "given"


def test_a_log_record_is_one_line_with_the_message_last(served_app: Served) -> None:
    """The app's message is a JSON object: whoever looks for it can cut it out of the line."""
    served_app.call("/api/resource?note=found%0Ahere")

    (line,) = served_app.said("found")
    assert line.startswith("INFO {")
    assert json.loads(line.removeprefix("INFO ")) == {"outcome": "heard", "note": "found\nhere"}


def test_no_query_string_is_ever_printed(served_app: Served) -> None:
    """It carries the secret: in a call that works, one that fails, one without a route, and one that is no HTTP."""
    secret = "hush-hush-hush-hush"
    for target in ("/api/resource?", "/api/resource?fail=1&", "/nowhere?", "/api%3F", "/api/resource;"):
        served_app.call(f"{target}secret={secret}")
    for line in (f"POST /api/resource?secret={secret} HTTP/9.x", f"POST /api?secret={secret}\x00 HTTP/1.1"):
        with socket.create_connection(("127.0.0.1", served_app.host.port), timeout=20) as connection:
            connection.sendall(f"{line}\r\nHost: a\r\n\r\n".encode())
            assert b" 400 " in connection.recv(1000)
    served_app.call("/api/the-end")

    assert served_app.said("POST /api/the-end 404 ")
    assert not [line for line in served_app.output if secret in line]
    assert [line for line in served_app.output if re.fullmatch(r"POST /api/resource 200 \d+ ms", line)]


@needs_signals
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_answered_before_the_end(number: signal.Signals, app: Path) -> None:
    """A deployment or Ctrl-C loses no call that was taken, and the end is a regular one."""
    statuses: list[int] = []
    with served({}, app=app) as host:
        caller = threading.Thread(
            target=lambda: statuses.append(Served(host, []).call("/api/resource?sleep=0.7").status)
        )
        caller.start()
        time.sleep(0.3)
        host.child._signal_group(number)  # noqa: SLF001 - what a terminal does
        assert host.child.until_ended() == 0
        caller.join()

    assert statuses == [200]
    assert gone([host.child.pid])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise ValueError('not today')", "cannot index the function app in .*: ValueError: not today"),
        ("import no_such_module", "cannot index the function app in .*No module named 'no_such_module'"),
        ("", "cannot index the function app in .*: ValueError: Could not find top level function app instances"),
        (
            FUNCTION_APP.replace('route="resource"', 'route="a/{b}"'),
            "the route 'a/{b}' of resource has parameters: not emulated here",
        ),
        (None, "no HTTP function in .*: is there a function_app.py?"),
    ],
    ids=["raises", "a missing module", "no app", "a route with parameters", "no file"],
)
def test_an_app_that_cannot_be_served_is_said_to_be_so(
    code: str | None, message: str, app: Path, tmp_path: Path
) -> None:
    """One clear line first, then the error; nothing listens."""
    (tmp_path / "host.json").write_bytes((app / "host.json").read_bytes())
    if code is not None:
        (tmp_path / "function_app.py").write_text(code, "utf-8")

    with pytest.raises(Problem, match=message) as caught, served({}, app=tmp_path):
        pass

    assert "ended with exit status 1" in str(caught.value)


def test_an_app_without_a_host_json_is_said_to_be_so(tmp_path: Path) -> None:
    """Nor would the .NET host take it for a function app."""
    with pytest.raises(Problem, match=r"no usable host\.json in "), served({}, app=tmp_path):
        pass


def test_a_port_in_use_is_said_to_be_so(app: Path) -> None:
    """One line, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = subprocess.run(
            [sys.executable, "-m", "tools.host", "--port", str(port), "--app", str(app)],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == f"port {port} is in use; choose another with --port\n"
