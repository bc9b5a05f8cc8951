"""The function app under Microsoft's own Python runtime, without the .NET host: `python -m tools.host --port 7071`.

Microsoft's, from `azure-functions-runtime`: indexing `function_app.py`, turning a request into `func.HttpRequest`,
running the function, turning its `func.HttpResponse` into an answer. Ours, with `aiohttp.web` in front, is what the
.NET host does around that:

- routes: the prefix from host.json, compared without regard to case, a trailing slash allowed; another path *or*
  method is a 404 with no body. Route templates with parameters are refused at the start: they are not emulated;
- query parameters: grouped by name without regard to case under the first spelling, values that are not empty joined
  by a comma, parameters with no value left out;
- headers: names in lower case, repeated ones joined by a comma;
- body: its bytes, up to 100 MB, and only where Content-Length says that there is one: the .NET host hands over a
  chunked body as an empty one;
- an invocation that fails: 500 with no body, the error on standard error;
- logging: the worker has a handler of its own on the root logger, at INFO, that sends each record to the host as text;
  here each record becomes one line on standard error, level and message. As in Azure's log stream, the runtime's own
  INFO records are left out.

Not emulated: authorization levels (as under `func start`), cookies set by the function, functionTimeout, the admin
endpoints, other triggers. Never prints, logs or keeps a query string: it carries the webhook's secret. Settings come
from the environment variables alone.
"""

import argparse
import asyncio
import codecs
import errno
import json
import logging
import os
import re
import signal
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import unquote_to_bytes

from aiohttp import web
from multidict import CIMultiDict

from tools.problem import Problem

LARGEST_BODY = 100 * 1024 * 1024
"""Bytes; the .NET host's default, FUNCTIONS_REQUEST_BODY_SIZE_LIMIT."""

_PATIENCE = 10.0  # seconds that requests in flight get at the end; no call of ours takes longer than 8


def _keep_escaped(error: UnicodeError) -> tuple[str, int]:
    """Leave bytes that are no UTF-8 as the %XX that they came as, like .NET's Uri.UnescapeDataString."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("keep-escaped", _keep_escaped)


# The messages between host and worker. Microsoft's handlers take them by attribute and build them through a `protos`
# namespace that they are handed, so plain objects do: no gRPC, no protobuf.


class _Message(SimpleNamespace):
    """A message: its fields are what it was made with."""


class _TypedData(_Message):
    """The value of a binding: at most one field, named after its kind."""

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's name
        return next(iter(vars(self)), None)


class _ParameterBinding(_Message):
    """A binding's name and value; the value is always in `data`, never in shared memory."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        return "data"


class _StatusResult(_Message):
    Failure, Success, Cancelled = 0, 1, 2


class _BindingInfo(_Message):
    # `in` is a keyword; `out` and `inout` are what the runtime compares with, and `undefined` a data type.
    out, inout, undefined = 1, 2, 0


_PROTOS = SimpleNamespace(
    BindingInfo=_BindingInfo,
    FunctionLoadResponse=_Message,
    FunctionMetadataResponse=_Message,
    InvocationResponse=_Message,
    ParameterBinding=_ParameterBinding,
    RpcException=_Message,
    RpcFunctionMetadata=_Message,
    RpcHttp=_Message,
    StatusResult=_StatusResult,
    TypedData=_TypedData,
    WorkerInitResponse=_Message,
    WorkerMetadata=_Message,
)


def _message(kind: str, **fields: object) -> _Message:
    return _Message(request=_Message(**{kind: _Message(**fields)}), properties={"host": "127.0.0.1", "protos": _PROTOS})


@dataclass(frozen=True, slots=True)
class Request:
    """What the .NET host makes of an HTTP request before the worker sees it."""

    method: str
    url: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the worker made of the function's result."""

    status: int
    headers: dict[str, str]
    body: bytes


class InvocationFailed(Exception):  # noqa: N818 - the runtime's word
    """The function raised, or returned what is no HTTP answer. The text is the runtime's account of it."""


@dataclass(frozen=True, slots=True)
class _HttpFunction:
    """An indexed function with an HTTP trigger. `methods` is empty where it takes all."""

    name: str
    function_id: str
    parameter: str
    methods: frozenset[str]


class FunctionApp:
    """The functions of a folder, indexed by Microsoft's runtime. One a process: the runtime keeps it in globals."""

    def __init__(self, runtime: Any, routes: dict[str, list[_HttpFunction]]) -> None:  # noqa: ANN401 - untyped package
        """Keep what `load` found; use that."""
        self._runtime = runtime
        self.routes = routes

    @classmethod
    async def load(cls, folder: Path) -> Self:
        """Index the app in a folder, in the running loop; makes it the working folder and importable.

        Raises Problem if it cannot be indexed.
        """
        runtime = _runtime()
        folder, prefix = _enter(folder)
        runtime.start_threadpool_executor()
        started = await runtime.worker_init_request(
            _message(
                "worker_init_request",
                host_version="4.0.0",
                capabilities={},
                function_app_directory=str(folder),
            )
        )
        if started.result.status != _StatusResult.Success:
            error = started.result.exception
            # The line to read comes last, where a long traceback above it does not push it out of sight.
            raise Problem(f"{error.stack_trace}\ncannot index the function app in {folder}: {error.message}")
        listed = await runtime.functions_metadata_request(_message("functions_metadata_request"))
        routes: dict[str, list[_HttpFunction]] = {}
        for metadata in listed.function_metadata_results or []:
            await runtime.function_load_request(
                _message("function_load_request", function_id=metadata.function_id, metadata=metadata)
            )
            for binding in map(json.loads, metadata.raw_bindings):
                if binding["type"] == "httpTrigger":
                    route = binding.get("route") or metadata.name
                    if "{" in route:
                        raise Problem(f"the route {route!r} of {metadata.name} has parameters: not emulated here")
                    path = "/".join(part for part in (prefix, route.strip("/")) if part)
                    function = _HttpFunction(
                        name=metadata.name,
                        function_id=metadata.function_id,
                        parameter=binding["name"],
                        methods=frozenset(method.upper() for method in binding.get("methods") or []),
                    )
                    routes.setdefault(f"/{path}".lower(), []).append(function)
        if not routes:
            raise Problem(f"no HTTP function in {folder}: is there a function_app.py?")
        return cls(runtime, routes)

    def find(self, method: str, path: str) -> _HttpFunction | None:
        """Return the function for a method and a decoded path, None where the .NET host would answer 404."""
        path = path.lower()
        for function in self.routes.get(path) or self.routes.get(path.removesuffix("/")) or []:
            if not function.methods or method in function.methods:
                return function
        return None

    async def invoke(self, function: _HttpFunction, request: Request) -> Answer:
        """Run a function. Raises InvocationFailed."""
        http = _Message(
            method=request.method,
            url=request.url,
            headers=request.headers,
            params={},
            query=request.query,
            body=_TypedData(bytes=request.body) if request.body else _TypedData(),
        )
        response = await self._runtime.invocation_request(
            _message(
                "invocation_request",
                invocation_id=str(uuid.uuid4()),
                function_id=function.function_id,
                input_data=[_ParameterBinding(name=function.parameter, data=_TypedData(http=http))],
                trigger_metadata={},
                trace_context=_Message(trace_parent="", trace_state="", attributes={}),
                retry_context=_Message(retry_count=0, max_retry_count=0, exception=None),
            )
        )
        if response.result.status != _StatusResult.Success:
            error = response.result.exception
            raise InvocationFailed(f"{error.message}\n{error.stack_trace}")
        return _answer(response.return_value)


def _runtime() -> Any:  # noqa: ANN401 - untyped package
    try:
        import azure_functions_runtime  # noqa: PLC0415 - absent before Python 3.13, which is worth a clear line
    except ImportError as error:
        message = (
            "azure-functions-runtime is not installed (it needs Python 3.13 or newer): run "
            "`python -m tools setup`, then use .venv's Python"
        )
        raise Problem(message) from error
    return azure_functions_runtime


def _enter(folder: Path) -> tuple[Path, str]:
    """Make the app's folder what it is to the worker, and return its full path and the route prefix."""
    folder = folder.resolve()
    try:
        host = json.loads((folder / "host.json").read_text("utf-8"))
        prefix = host.get("extensions", {}).get("http", {}).get("routePrefix", "api")
    except (OSError, ValueError, AttributeError) as error:
        raise Problem(f"no usable host.json in {folder}: {error}") from error
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    return folder, str(prefix).strip("/")


def _answer(value: Any) -> Answer:  # noqa: ANN401 - a message, whose fields depend on its kind
    if value is None:
        return Answer(204, {}, b"")
    if value.WhichOneof("data") == "http":
        http = value.http
        return Answer(int(http.status_code), dict(http.headers), http.body.bytes)
    return Answer(200, {"content-type": "text/plain; charset=utf-8"}, str(value.string).encode())


def parse_query(raw: str) -> dict[str, str]:
    """Return the query parameters as the .NET host hands them to the worker. `raw` is what follows the `?`."""
    values: dict[str, list[str]] = {}
    spelling: dict[str, str] = {}
    for pair in raw.split("&"):
        name, _, value = (_unescape(part) for part in pair.partition("="))
        if value:
            values.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
    return {name: ",".join(parts) for name, parts in values.items()}


def _unescape(text: str) -> str:
    # Bytes outside ASCII, which a proper client would have escaped, come from aiohttp as surrogates.
    escaped = text.replace("+", " ").encode("utf-8", "surrogateescape")
    return unquote_to_bytes(escaped).decode("utf-8", "keep-escaped")


def _printable_path(request: web.BaseRequest) -> str:
    """Return the path as it came, without what could be a secret: a `?` that somebody escaped, and all after it."""
    return re.split("[?;]|%3f|%3b", request.rel_url.raw_path, maxsplit=1, flags=re.IGNORECASE)[0][:200]


def web_app(functions: FunctionApp) -> web.Application:
    """Put the HTTP side of the host in front of an app."""

    async def serve(request: web.Request) -> web.Response:
        started = time.perf_counter()
        answer = await respond(request)
        spent = (time.perf_counter() - started) * 1000
        line = f"{request.method} {_printable_path(request)} {answer.status} {spent:.0f} ms"
        print(line, file=sys.stderr, flush=True)
        return answer

    async def respond(request: web.Request) -> web.Response:
        function = functions.find(request.method, request.path)
        if function is None:
            return web.Response(status=404)
        if (request.content_length or 0) > LARGEST_BODY:
            return web.Response(status=413)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:  # a chunked one, which does not say beforehand
            return web.Response(status=413)
        try:
            answer = await functions.invoke(function, _received(request, body))
            return web.Response(status=answer.status, headers=CIMultiDict(answer.headers), body=answer.body)
        except InvocationFailed as error:
            print(f"ERROR {function.name} failed: {error}", file=sys.stderr, flush=True)
        except ValueError as error:  # a status or header that is none
            print(f"ERROR {function.name} gave no HTTP answer: {error}", file=sys.stderr, flush=True)
        return web.Response(status=500)

    app = web.Application(client_max_size=LARGEST_BODY)
    app.router.add_route("*", "/{path:.*}", serve)
    return app


def _received(request: web.Request, body: bytes) -> Request:
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        headers.setdefault(name.lower(), []).append(value)
    query = request.rel_url.raw_query_string
    return Request(
        method=request.method,
        url=f"{request.scheme}://{request.host}{request.rel_url.raw_path}" + (f"?{query}" if query else ""),
        query=parse_query(query),
        headers={name: ",".join(values) for name, values in headers.items()},
        body=body if request.content_length else b"",
    )


class _Line(logging.Formatter):
    """A record as one line, its message last; a traceback, where there is one, on indented lines below."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return "\n    ".join([f"{record.levelname} {message}", *trace.splitlines()])


def log_to_stderr() -> None:
    """Put on the root logger what stands in for the worker's handler."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    handler.addFilter(lambda record: record.levelno > logging.INFO or record.name != "azure.functions")
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _silent() -> logging.Logger:
    """Return a logger for aiohttp's server: its records quote request lines that it cannot parse, query and all."""
    logger = logging.getLogger(f"{__name__}.aiohttp")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


async def serve(
    folder: Path,
    port: int,
    *,
    ready: Callable[[int], None],
    until: Callable[[], Awaitable[object]],
) -> None:
    """Serve the app of a folder on 127.0.0.1 until `until()` is over, then let the requests in flight finish.

    port: 0 lets the system choose.
    ready: called with the real port once requests are taken.

    Raises Problem if the app cannot be indexed or the port not be opened.
    """
    functions = await FunctionApp.load(folder)
    runner = web.AppRunner(
        web_app(functions), access_log=None, logger=_silent(), shutdown_timeout=_PATIENCE, handle_signals=False
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        try:
            await site.start()
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened: {error.strerror}"
            raise Problem(f"port {port} {reason}; choose another with --port") from error
        ready(runner.addresses[0][1])
        await until()
    finally:
        await runner.cleanup()


async def _asked_to_stop(*, stdin: bool) -> None:
    """Wait for SIGINT or SIGTERM, or for the end of standard input if that counts."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, asked.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(asked.set))
    if stdin:

        def read_to_the_end() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(asked.set)

        threading.Thread(target=read_to_the_end, daemon=True).start()
    await asked.wait()


def main(arguments: list[str] | None = None) -> int:
    """Serve a folder until told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.host",
        description="Serves a function app on 127.0.0.1 under Microsoft's azure-functions-runtime.",
    )
    parser.add_argument("--port", type=int, default=7071, help="0 lets the system choose; default: %(default)s")
    parser.add_argument("--app", type=Path, default=Path(), metavar="DIR", help="default: the current folder")
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop at the end of standard input too")
    options = parser.parse_args(arguments)
    log_to_stderr()
    try:
        asyncio.run(
            serve(
                options.app,
                options.port,
                ready=lambda port: print(f"listening on http://127.0.0.1:{port}", flush=True),
                until=lambda: _asked_to_stop(stdin=options.until_stdin_ends),
            )
        )
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    STATUS = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # As a worker ends, which its host kills: what the app holds for life, such as clients, is not closed, and the
    # complaints about that would only mislead.
    os._exit(STATUS)
