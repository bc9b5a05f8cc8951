"""`managedapps watch`: what changes is seen, once, while it happens, and an outage is waited out."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests import events
from tests.console.conftest import SECRET, Run
from tests.console.publisher.conftest import ROOT
from tools.azurite import Azurite, missing
from webhook.receive import Receiver
from webhook.settings import Settings, Storage
from webhook.tables import Tables


def deliver(connection_string: str, *bodies: bytes) -> None:
    """Let the webhook record notifications."""

    async def run() -> None:
        settings = Settings.from_mapping({"WEBHOOK_SECRET": SECRET, "STATE_STORAGE": connection_string})
        async with Tables.connect(Storage("STATE_STORAGE", connection_string)) as tables:
            receiver = Receiver(settings, lambda _: tables)
            for body in bodies:
                assert (await receiver.receive(SECRET, body)).status == 200

    asyncio.run(run())


def event(name: str, state: str, minute: int, event_type: str = "PUT") -> bytes:
    """Give an event of an application."""
    return events.body(
        event_type,
        state,
        applicationId=events.application_id(name),
        eventTime=f"2026-03-01T10:{minute:02}:00Z",
    )


class Watching:
    """The command, running; what it has printed so far."""

    def __init__(self, process: subprocess.Popen[bytes], out: int) -> None:
        self.process, self._out, self.shown = process, out, ""
        os.set_blocking(out, False)

    def until(self, text: str, seconds: float = 20) -> str:
        """Wait until a text is there, and give all that is there."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            self._read()
            time.sleep(0.02)
        return self.shown

    def end(self) -> int:
        """Press Ctrl-C, and give the exit status."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(20)
        self._read()
        return status

    def _read(self) -> None:
        try:
            self.shown += os.read(self._out, 1_000_000).decode()
        except (BlockingIOError, OSError):
            return


@contextmanager
def watching(*arguments: str, terminal: bool = False) -> Iterator[Watching]:
    """Run `managedapps watch`; both its outputs go to the same place."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    reading, writing = pty.openpty() if terminal else os.pipe()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "20"}
    command = [sys.executable, "-m", "console", "watch", "--interval", "1s", *arguments]
    with subprocess.Popen(command, stdout=writing, stderr=writing, env=environment) as process:
        os.close(writing)
        try:
            yield Watching(process, reading)
        finally:
            process.kill()
            os.close(reading)


@pytest.fixture
def account(storage: Storage, elsewhere: pytest.MonkeyPatch) -> str:
    """Give an account with one application; the environment names it."""
    connection_string = storage.connection_string or ""
    elsewhere.setenv("STATE_STORAGE", connection_string)
    deliver(connection_string, event("one", "Accepted", 0))
    return connection_string


def test_a_pipe_gets_a_line_for_each_change_and_none_for_what_stays(account: str) -> None:
    """What was there before is known from `list`."""
    with watching() as running:
        time.sleep(1.5)
        deliver(account, event("two", "Accepted", 1))
        running.until("  two  ")
        deliver(account, event("one", "Succeeded", 2), event("one", "Accepted", 0))
        shown = running.until("Succeeded")
        time.sleep(2.5)
        status = running.end()

    assert status == 0
    assert running.shown == shown
    assert [line.split("  ")[:2] for line in shown.splitlines()] == [
        ["2026-03-01T10:01:00.0000000Z", "Accepted"],
        ["2026-03-01T10:02:00.0000000Z", "Accepted → Succeeded"],
    ]


def test_a_program_gets_an_object_for_each_change(account: str) -> None:
    """With the state before, so that it need not keep count."""
    with watching("--json") as running:
        time.sleep(1.5)
        deliver(account, event("one", "Failed", 2))
        running.until("\n")
        assert running.end() == 0

    (change,) = map(json.loads, running.shown.splitlines())
    assert (change["previousProvisioningState"], change["provisioningState"]) == ("Accepted", "Failed")
    assert change["error"] == events.ERROR
    assert change["planName"] == "standard"


def test_filters_hold_for_changes_too(account: str) -> None:
    """Somebody waits for failures, and for nothing else."""
    with watching("--failed") as running:
        time.sleep(1.5)
        deliver(account, event("one", "Succeeded", 2), event("two", "Failed", 3))
        running.until("Failed")
        time.sleep(1.2)
        running.end()

    assert len(running.shown.splitlines()) == 1


def test_what_leaves_the_list_and_what_time_brings_into_it_is_said(account: str) -> None:
    """Who waits for failures wants to know of the recovery, and nothing is written when something gets stuck."""
    with watching("--stuck", "2d", "--json") as stuck, watching("--failed") as failed:
        time.sleep(1.5)
        moment = datetime.now(UTC) - timedelta(days=2) + timedelta(seconds=4)
        soon = events.body(applicationId=events.application_id("soon"), eventTime=f"{moment:%Y-%m-%dT%H:%M:%SZ}")
        deliver(account, soon, event("one", "Failed", 2))
        failed.until("Accepted → Failed")
        deliver(account, event("one", "Succeeded", 3))
        failed.until("Failed → Succeeded")
        stuck.until('"applicationName": "soon"')
        stuck.end()
        failed.end()

    (line,) = [json.loads(line) for line in stuck.shown.splitlines() if '"soon"' in line]
    assert (line["listed"], line["previousProvisioningState"], line["provisioningState"]) == (
        True,
        "Accepted",
        "Accepted",
    )
    assert [line.endswith("(not listed any more)") for line in failed.shown.splitlines()] == [False, True]


def test_a_terminal_shows_the_list_and_marks_what_changed(account: str) -> None:
    """At a glance, without reading all of it again."""
    with watching(terminal=True) as running:
        running.until("1 application: 1 Accepted.")
        assert "●" not in running.shown
        deliver(account, event("one", "Succeeded", 2))
        running.until("Accepted → Succeeded")
        assert "●" in running.until("1 application: 1 Succeeded.")
        assert running.end() == 0

    assert "\x1b[?1049l" in running.shown  # the terminal is as it was
    assert "Traceback" not in running.shown


@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_an_outage_is_said_once_and_waited_out(elsewhere: pytest.MonkeyPatch) -> None:
    """A storage account that is away for a minute must not end a watch that runs for days."""
    with Azurite() as azurite:
        elsewhere.setenv("STATE_STORAGE", azurite.connection_string)
        deliver(azurite.connection_string, event("one", "Accepted", 0))
        with watching() as running:
            time.sleep(1.5)
            azurite.stop()
            running.until("Trying again.")
            time.sleep(2.5)
            azurite.start()
            running.until("Storage answers again.")
            deliver(azurite.connection_string, event("two", "Accepted", 1))
            running.until("  two  ")
            assert running.end() == 0

    assert running.shown.count("Warning: ") == 1


def test_storage_that_cannot_be_reached_at_first_is_an_error(elsewhere: pytest.MonkeyPatch, managedapps: Run) -> None:
    """The account is then more likely wrong than away."""
    elsewhere.setenv("STATE_STORAGE", "AccountName=a;AccountKey=aw==;TableEndpoint=http://127.0.0.1:9/a")
    done = managedapps("watch")

    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "storage could not be reached" in done.err


@pytest.mark.usefixtures("account")
def test_more_often_than_every_second_is_refused(managedapps: Run) -> None:
    """It would cost more than it shows."""
    assert managedapps("watch", "--interval", "0.5s").status == 2
