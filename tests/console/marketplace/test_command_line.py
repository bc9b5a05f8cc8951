"""The command line: what people and scripts see, and that nothing of it is the secret."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from console.marketplace.lives import lives
from tests.console.conftest import DROP, HANG, SECRET, Run, Start
from tests.console.marketplace.test_lives import SPAN

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "samples" / "1-put-accepted.json"
FAST = ("--speed", "1000000", "--customers", "10")


def console(*arguments: str, **options: object) -> subprocess.Popen[str]:
    """Start `python -m console` as a program of its own."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    pytest.importorskip("rich", reason="rich is not installed: the console is an optional extra")
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return] # options are Popen's
        [sys.executable, "-m", "console", *arguments],
        cwd=ROOT,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8", **options},
    )


def events(customers: int = 10, seed: int = 1) -> int:
    """Count the events of so many customers."""
    return sum(len(life.events) for life in lives(seed, customers, SPAN))


# simulate


def test_a_run_in_which_all_is_recorded_ends_with_0_and_a_table(start: Start, managedapps: Run) -> None:
    """What it did, at one glance."""
    with start() as server:
        done = managedapps("simulate", "--url", server.url, FAST)

    lines = [line.split() for line in done.out.splitlines()]
    assert done.status == 0
    assert ["customers", "10"] in lines
    assert ["events", str(events()), str(events()), "recorded"] in lines
    assert ["200", str(events())] in lines
    assert {"deliveries", "retries", "dropped", "given", "statuses", "p50", "p95", "p99", "slowest"} <= {
        line[0] for line in lines
    }
    assert len(server.bodies) == events()
    assert "\x1b" not in done.out + done.err


def test_the_same_as_json(start: Start, managedapps: Run) -> None:
    """A script reads figures, not tables."""
    with start(lambda number: 500 if number % 3 == 0 else 200) as server:
        done = managedapps("simulate", "--url", server.url, FAST, "--json", "--duplicates", "0.5", "--seed", "4")

    report = json.loads(done.out)
    assert done.status == 0
    assert report["events"] == report["recorded"] == events(seed=4)
    assert report["attempts"] == len(server.bodies) == sum(report["statuses"].values())
    assert report["retries"] == {"500": report["statuses"]["500"]}
    assert 0 < report["repeatedDeliveries"] < report["events"]
    assert list(report["latencyMs"]) == ["p50", "p95", "p99", "slowest"]
    assert report["lost"] == report["givenUp"] == 0
    assert (report["dropped"], report["stopped"], report["differences"]) == ({}, False, None)


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (401, "events are lost: 10 deliveries dropped after 401"),
        (500, "events are lost: 10 given up after 10 hours"),
        (DROP, "events are lost: 10 given up after 10 hours"),
    ],
)
def test_lost_events_are_exit_status_1(does: int, words: str, start: Start, managedapps: Run) -> None:
    """A script, and whoever reads the last line only, learns that and why events were lost."""
    total = events()
    with start(does) as server:
        done = managedapps("simulate", "--url", server.url, FAST, "--quiet")

    assert done.status == 1
    assert done.out == ""
    assert words.replace("10 ", f"{total} ", 1) in done.err


def test_an_event_whose_repetition_was_refused_is_not_lost(start: Start, managedapps: Run) -> None:
    """It was recorded before; what becomes of the repetition does not matter."""
    with start() as server:
        server.answer = lambda _: 200 if server.bodies.count(server.bodies[-1]) == 1 else 400
        done = managedapps("simulate", "--url", server.url, FAST, "--duplicates", "1", "--json", "--concurrency", "1")

    report = json.loads(done.out)
    assert done.status == report["lost"] == 0
    assert report["dropped"] == {"400": events()}


def test_quiet_says_nothing_where_nothing_is_wrong(start: Start, managedapps: Run) -> None:
    """As a step of a script."""
    with start() as server:
        assert managedapps("simulate", "--url", server.url, FAST, "-q") == (0, "", "")


def test_the_same_seed_sends_the_same(start: Start, managedapps: Run) -> None:
    """What one run found, the next can find again."""
    sent = []
    for seed in ("3", "3", "4"):
        with start() as server:
            managedapps("simulate", "--url", server.url, FAST, "--seed", seed, "--concurrency", "1", "--reorder", "0.5")
            sent.append(server.bodies)

    assert sent[0] == sent[1]
    assert sent[0] != sent[2]


def test_the_truth_is_written_a_line_a_customer(start: Start, managedapps: Run, tmp_path: Path) -> None:
    """A publisher with another webhook compares it with what that one stored."""
    file = tmp_path / "truth.jsonl"
    with start() as server:
        managedapps("simulate", "--url", server.url, FAST, "--truth", str(file))

    truths = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [each["customer"] for each in truths] == list(range(10))
    assert sum(each["events"] for each in truths) == events()


def test_several_urls_are_all_used(start: Start, managedapps: Run) -> None:
    """Two instances of one webhook get the events of the same customers."""
    with start() as one, start() as two:
        managedapps("simulate", "--url", one.url, "--url", two.url, FAST)

    assert min(len(one.bodies), len(two.bodies)) > 10
    assert len(one.bodies + two.bodies) == events()


def test_resource_at_the_end_of_the_url_is_warned_of(start: Start, managedapps: Run) -> None:
    """The most frequent mistake: it is pointed out, and shown to be one by doing what the Marketplace does."""
    with start(404) as server:
        done = managedapps("simulate", "--url", server.url.replace("/api", "/api/resource"), FAST)

    assert "Warning: the URL already ends in /resource." in done.err
    assert {path.partition("?")[0] for path in server.paths} == {"/api/resource/resource"}
    assert done.status == 1


def test_one_instance_that_is_down_is_warned_of(start: Start, managedapps: Run) -> None:
    """The run goes on: an instance may come up while it lasts."""
    with start() as down:
        pass
    with start() as up:
        done = managedapps("simulate", "--url", down.url, "--url", up.url, FAST)

    assert "cannot be reached: the connection is refused" in done.err
    assert done.status == 0
    assert len(up.bodies) == events()


def test_a_terminal_gets_a_bar_and_a_pipe_gets_lines(start: Start) -> None:
    """The bar is gone at the end, and the table stays; NO_COLOR takes the colours from it."""
    pty, fcntl, termios = (pytest.importorskip(name, reason="no Unix") for name in ("pty", "fcntl", "termios"))
    screens = {}
    with start(seconds=0.01) as server:
        for no_color in ("", "1"):
            ours, theirs = pty.openpty()
            fcntl.ioctl(
                theirs, termios.TIOCSWINSZ, b"".join(number.to_bytes(2, sys.byteorder) for number in (40, 120, 0, 0))
            )
            environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": no_color}
            arguments = ("simulate", "--url", server.url, "--customers", "20", "--speed", "100000")
            with console(*arguments, stdout=theirs, stderr=theirs, env=environment):
                os.close(theirs)
                screen = b""
                with suppress(OSError):  # what reading gives when the program has ended
                    while piece := os.read(ours, 65536):
                        screen += piece
            os.close(ours)
            screens[no_color] = screen.decode()

    assert "Delivering" in screens[""]
    assert "customers" in screens[""]
    assert "\x1b[3" in screens[""]  # a colour
    assert "\x1b[3" not in screens["1"]
    assert SECRET not in screens[""] + screens["1"]


def test_ctrl_c_stops_cleanly_and_says_what_was_done(start: Start) -> None:
    """Nobody has to wait for the ten hours; exit status 130 is what shells expect."""
    with start(lambda number: 200 if number < 5 else HANG) as server:
        process = console("simulate", "--url", server.url, FAST[2], FAST[3], "--json", "--concurrency", "3")
        with process:
            deadline = time.monotonic() + 20
            while len(server.paths) < 8 and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)

    report = json.loads(out)
    assert process.returncode == 130
    assert err == "Stopped by Ctrl-C; 3 requests were in flight.\n"
    assert (report["recorded"], report["attempts"], report["stopped"]) == (5, 8, True)


# what can be wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate"], "Missing option '--url'"),
        (["simulate", "--url", f"example.com/?secret={SECRET}"], "must begin with https://"),
        (["simulate", "--url", f"https://?secret={SECRET}"], "names no host"),
        (["simulate", f"http://127.0.0.1/?secret={SECRET}", "--url", "http://a"], "http://127.0.0.1/?***"),
        ([f"http://127.0.0.1/?secret={SECRET}"], "No such command"),
        (["simulate", "--url", "http://a", "--customers", f"http://a/?s={SECRET}"], "--customers"),
        (["simulate", f"--ulr=http://127.0.0.1/?secret={SECRET}"], "No such option"),
        (["simulate", "--url", "http://a", "--duplicates", "2"], "--duplicates"),
        (["simulate", "--url", "http://a", "--speed", "0"], "--speed"),
        (["simulate", "--url", "http://a", "--speed", "nan"], "--speed"),
        (["simulate", "--url", "http://a", "--start", "2999-01-01"], "at most a day from now"),
        (["simulate", "--url", "http://a", "--start", "9999-12-30"], "at most a day from now"),
        (["simulate", "--url", "http://a", "--start", "soon"], "--start"),
        (["send", str(SAMPLE)], "Missing option '--url'"),
        (["send", "--url", "http://a"], "Missing argument 'SAMPLE'"),
        ([], "Missing command"),
    ],
)
def test_wrong_usage_is_exit_status_2(arguments: Sequence[str], message: str, managedapps: Run) -> None:
    """Said in a line that helps, without the secret, wherever on the command line that was."""
    done = managedapps(arguments)

    assert done.status == 2
    assert message in done.err
    assert "--help'" in done.err
    assert done.out == ""


def test_a_webhook_that_is_not_there_is_said_at_once(start: Start, managedapps: Run) -> None:
    """More likely the URL is wrong than that the webhook comes up within the next ten hours."""
    with start() as server:
        pass
    done = managedapps("simulate", "--url", server.url)

    assert done.status == 1
    assert done.err == (
        f"managedapps: http://127.0.0.1:{server.port}/api/resource?secret=*** cannot be reached: "
        "the connection is refused\n"
    )


def test_a_host_that_does_not_exist_is_said_at_once(managedapps: Run) -> None:
    """`.invalid` never exists; where there is no DNS, that is what is said."""
    done = managedapps("simulate", "--url", f"https://webhook.invalid/api?secret={SECRET}")

    assert done.status == 1
    assert "https://webhook.invalid/api/resource?secret=*** cannot be reached: the host is not found" in done.err


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """Make a certificate that nobody has signed."""
    file = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    try:
        subprocess.run([*command, "-keyout", str(file), "-out", f"{file}.crt"], check=True, capture_output=True)
    except OSError:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{file}.crt", str(file))
    return context


@pytest.mark.parametrize("command", [["simulate"], ["send", str(SAMPLE)]])
def test_a_certificate_that_is_not_trusted_is_said(
    command: Sequence[str], certificate: ssl.SSLContext, start: Start, managedapps: Run
) -> None:
    """The Marketplace would not deliver there either."""
    with start(tls=certificate) as server:
        done = managedapps(command, "--url", server.url)

    assert done.status == 1
    assert "TLS failed: self-signed certificate" in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", [["simulate"], ["send", str(SAMPLE)]])
def test_https_where_only_http_is_spoken_is_said(command: Sequence[str], start: Start, managedapps: Run) -> None:
    """`https://` in front of a local address is easily written."""
    with start() as server:
        done = managedapps(command, "--url", server.url.replace("http:", "https:"))

    assert done.status == 1
    assert "TLS failed: what answers does not speak it" in done.out + done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate", "--url", "http://127.0.0.1:9/?s", "--truth", "/no/such/folder/truth"], "cannot write /no/such"),
        (
            ["send", "/no/such/sample.json", "--url", "http://127.0.0.1:9/?s"],
            "cannot read /no/such/sample.json: No such",
        ),
        (["send", "/", "--url", "http://127.0.0.1:9/?s"], "cannot read /: Is a directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_exit_status_1(arguments: Sequence[str], message: str, managedapps: Run) -> None:
    """One line, before anything is sent."""
    done = managedapps(arguments)

    assert done.status == 1
    assert done.err.startswith(f"managedapps: {message}")
    assert done.err.count("\n") == 1


# send


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, "The Marketplace takes the event as recorded, and is done."),
        (202, "The Marketplace drops the event and does not try again: it is lost."),
        (401, "The Marketplace drops the event and does not try again: it is lost."),
        (404, "The Marketplace tries again, for 10 hours."),
        (500, "The Marketplace tries again, for 10 hours."),
    ],
)
def test_send_delivers_once_and_says_what_the_marketplace_would_do(
    status: int, verdict: str, start: Start, managedapps: Run
) -> None:
    """The exact URL, the answer, what it means; only 200 is exit status 0."""
    with start(status, reply='{"outcome": "?"}') as server:
        done = managedapps("send", str(SAMPLE), "--url", server.url)

    lines = done.out.splitlines()
    assert lines[0] == f"POST http://127.0.0.1:{server.port}/api/resource?secret=***"
    assert lines[1].startswith(f"{status} application/json; charset=utf-8, ")
    assert lines[2:] == ['{"outcome": "?"}', verdict]
    assert done.status == (status != 200)
    assert server.bodies == [SAMPLE.read_bytes()]


def test_send_as_json(start: Start, managedapps: Run) -> None:
    """For scripts."""
    with start(401, reply="no") as server:
        done = managedapps("send", str(SAMPLE), "--url", server.url, "--json")

    answer = json.loads(done.out)
    assert answer.pop("milliseconds") > 0
    assert answer == {
        "url": f"http://127.0.0.1:{server.port}/api/resource?secret=***",
        "status": 401,
        "unreachable": None,
        "body": "no",
        "fate": "dropped",
    }


@pytest.mark.parametrize("does", [DROP, HANG])
def test_send_without_an_answer_says_why(does: int, start: Start, managedapps: Run) -> None:
    """Exit status 1, and no traceback."""
    with start(does) as server:
        done = managedapps("send", str(SAMPLE), "--url", server.url, "--timeout", "0.2")

    reason = "the connection breaks off" if does == DROP else "no answer within 0.2 s"
    assert done.status == 1
    assert done.out.splitlines()[1:] == [f"No answer: {reason}.", "The Marketplace tries again, for 10 hours."]


def test_an_answer_that_repeats_the_secret_is_masked(start: Start, managedapps: Run) -> None:
    """Some frameworks show the URL in their error pages."""
    for arguments in ([], ["--json"]):
        with start(404, reply=f"Cannot POST /api/resource?secret={SECRET}") as server:
            assert "?secret=***" in managedapps("send", str(SAMPLE), "--url", server.url, arguments).out


def test_an_answer_cannot_talk_to_the_terminal(start: Start, managedapps: Run) -> None:
    """What a server sends is shown as text, whatever it is; and markup is no markup."""
    with start(200, reply="\x1b]0;owned\x07[bold]x[/bold]") as server:
        done = managedapps("send", str(SAMPLE), "--url", server.url)

    assert "\x1b" not in done.out
    assert "[bold]x[/bold]" in done.out


def test_send_reads_standard_input(start: Start) -> None:
    """A notification need not be a file; one that is no JSON is sent all the same, with a warning."""
    with start(400) as server, console("send", "-", "--url", server.url, stdin=subprocess.PIPE) as process:
        _, err = process.communicate("not JSON", timeout=20)

    assert server.bodies == [b"not JSON"]
    assert process.returncode == 1
    assert err == "Warning: - is not JSON; it is sent as it is.\n"


# help, and the ways to start it


@pytest.mark.parametrize("command", [[], ["simulate"], ["send"]])
def test_help_is_exit_status_0(command: Sequence[str], managedapps: Run) -> None:
    """With an example to copy for each command."""
    done = managedapps(command, "--help")

    assert done.status == 0
    assert not command or f"Example: managedapps {command[0]} " in done.out


def test_the_app_runs_under_typers_own_runner(start: Start) -> None:
    """Its statuses are those of the command line, so that others can build on the app."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    from typer.testing import CliRunner  # noqa: PLC0415 - see above

    from console.app import app  # noqa: PLC0415 - see above

    with start() as server:
        runs: dict[tuple[str, ...], int] = {
            ("--help",): 0,
            ("simulate",): 2,
            ("send", str(SAMPLE), "--url", server.url): 0,
            ("send", str(SAMPLE), "--url", f"{server.url}", "--timeout", "x"): 2,
        }
        found = {arguments: CliRunner().invoke(app, arguments).exit_code for arguments in runs}

    assert found == runs


Program = Callable[[], list[str]]


@pytest.mark.parametrize("how", ["module", "command"])
def test_it_starts_as_a_module_and_as_a_command(how: str, tmp_path: Path) -> None:
    """`managedapps` works from any folder once the environment stands; `python -m console` from the checkout."""
    pytest.importorskip("typer", reason="typer is not installed: the console is an optional extra")
    command = Path(sys.executable).parent / "managedapps"
    if how == "command" and not command.exists():
        pytest.skip("managedapps is not installed in this environment: run `python -m tools setup`")
    program = [str(command)] if how == "command" else [sys.executable, "-m", "console"]
    folder = tmp_path if how == "command" else ROOT
    (tmp_path / "console.py").write_text("raise SystemExit('not this one')", "utf-8")
    done = subprocess.run([*program, "--help"], cwd=folder, capture_output=True, encoding="utf-8", check=False)

    assert done.returncode == 0
    assert "simulate" in done.stdout
