"""What can be measured, and a process that runs it: started, told what to deliver, ended."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from subprocess import PIPE, Popen
from typing import IO, Literal, cast

from azure.data.tables import TableServiceClient

from bench import blind
from bench.delay import ROOT
from bench.orders import Delivered, Order
from tools.azurite import Azurite
from tools.problem import Problem

SECRET = "correct-horse-battery-staple"  # noqa: S105 - of tables that are gone with the run

Kind = Literal["webhook", "blind_async", "blind_sync", "upsert"]

PLACES: Mapping[Kind, str] = {
    "webhook": str(ROOT),
    "blind_async": str(ROOT / "bench" / "blind_async"),
    "blind_sync": str(ROOT / "bench" / "blind_sync"),
    "upsert": "upsert",
}


class Subject:
    """A worker that runs; see `subject`.

    kind: what it runs.
    ready: seconds from the start of the process until it could be called.
    indexing: seconds of that for the runtime's indexing of the app, its import included.
    """

    def __init__(self, kind: Kind, process: "Popen[str]", log: IO[str]) -> None:
        """Wait until it can be called."""
        self.kind: Kind = kind
        self._process, self._log = process, log
        began = time.perf_counter()
        self.indexing = float(self._hear())
        self.ready = time.perf_counter() - began

    def deliver(
        self,
        lives: Sequence[Sequence[str]],
        in_flight: int = 1,
        *,
        secret: str = SECRET,
        status: int = 200,
        outcome: str = "stored",
    ) -> Delivered:
        """Deliver the notifications of several lives, so many lives at a time, and wait for all answers.

        status, outcome: what each answer must be; only the webhook's answers of 200 name an outcome.

        Raises Problem if one is not.
        """
        order: Order = {"lives": [list(life) for life in lives], "in_flight": in_flight, "secret": secret}
        question = cast("IO[str]", self._process.stdin)
        with suppress(BrokenPipeError):  # it has ended: no answer will come
            question.write(json.dumps(order) + "\n")
            question.flush()
        delivered: Delivered = json.loads(self._hear())
        expected = {(status, outcome if self.kind == "webhook" and status == 200 else "")}  # noqa: PLR2004 - HTTP's OK
        found = set(zip(delivered["statuses"], delivered["outcomes"], strict=True))
        if found != expected:
            raise Problem(f"{self.kind} answered {found} instead of {expected}; {self._last_words()}")
        return delivered

    def _hear(self) -> str:
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise Problem(f"the worker of {self.kind} ended; {self._last_words()}")
        return line

    def _last_words(self) -> str:
        self._log.seek(0)
        return "its last output:\n" + "".join(self._log.readlines()[-15:])


@contextmanager
def subject(kind: Kind, connection_string: str, *, table: str = blind.TABLE) -> Iterator[Subject]:
    """Run a worker on a storage whose tables are there: see `create_tables`.

    table: where a blind upsert goes.
    """
    settings = {"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": connection_string, "BLIND_TABLE": table}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as log,
        Popen(
            [sys.executable, "-m", "bench.worker", PLACES[kind]],
            cwd=ROOT,
            env={**environment, **settings},
            stdin=PIPE,
            stdout=PIPE,
            stderr=log,
            encoding="utf-8",
            start_new_session=os.name == "posix",  # Ctrl-C is for us to see, and to end it
        ) as process,
    ):
        try:
            yield Subject(kind, process, log)
        finally:
            process.terminate()


def azurite() -> Azurite:
    """Give an Azurite, in memory, that leaves idle connections open while others have their turn.

    One that it closes at the moment of a call makes the blind handlers' call fail; only the webhook's is repeated.
    """
    return Azurite(keep_alive=120)


def create_tables(connection_string: str) -> None:
    """Make the table that the blind handlers write to; the webhook makes its own."""
    with TableServiceClient.from_connection_string(connection_string) as service:
        service.create_table_if_not_exists(blind.TABLE)
