"""Programs that the tools start: each ends with whoever started it, and leaves its last words."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tools.conftest import descendants, gone, lives, needs_signals
from tools.azurite import ROOT
from tools.child import Child
from tools.problem import Problem
from tools.stopping import Stopped, Stopping

SLEEP = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP
READY = re.compile("^ready$")


def python(code: str, **options: object) -> Child:
    """Start a Python program."""
    return Child("the program", [sys.executable, "-c", code], ready=READY, **options)  # type: ignore[arg-type] # as given


def test_a_program_that_dies_leaves_its_last_words() -> None:
    """Whoever waits for it learns at once that it is dead, how it died, and what it said."""
    started = time.monotonic()
    with (
        python("print('one\\ntwo'); raise SystemExit(3)") as child,
        pytest.raises(Problem, match=r"^the program ended with exit status 3; its last output:\n    one\n    two$"),
    ):
        child.until_ready(20)

    assert time.monotonic() - started < 5


def test_a_program_that_says_nothing_is_given_up() -> None:
    """A wait has an end."""
    with (
        python("import time; print('not yet', flush=True); time.sleep(60)") as child,
        pytest.raises(Problem, match="the program did not start within 1 seconds"),
    ):
        child.until_ready(1)

    assert child.status is not None


def test_a_program_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """A missing program is a line to act on."""
    with pytest.raises(Problem, match=r"cannot start the program: No such file or directory: .*nowhere"):
        Child("the program", [tmp_path / "nowhere"])


def test_a_request_to_stop_ends_a_wait() -> None:
    """Ctrl-C during the start is heeded, and the half-started program goes too."""
    stopping = Stopping()
    stopping.ask(signal.SIGINT)

    with python(SLEEP) as child, pytest.raises(Stopped):
        child.until_ready(20, stopping)

    assert child.status is not None


@needs_signals
def test_a_program_that_will_not_end_is_made_to() -> None:
    """Asked first; when the time is over, by force."""
    with python(STUBBORN) as child:
        child.until_ready(20)
        child.end(seconds=0.3)

    assert child.status == -signal.SIGKILL
    assert "was ended by SIGKILL" in child.obituary()


@needs_signals
def test_what_a_program_started_ends_with_it() -> None:
    """A launcher that dies must not leave its server running."""
    inner = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); {SLEEP}"
    with python(inner) as child:
        child.until_ready(20)
        family = descendants(child.pid)
        assert family
        child.end(seconds=0.5)

    assert gone(family)


@needs_signals
def test_a_program_ends_with_us_even_if_we_are_killed() -> None:
    """SIGKILL leaves no time to clean up: the end of standard input tells the program."""
    outer = (
        "import sys, re, time; from tools.child import Child\n"
        "code = 'import sys; print(chr(114), flush=True); sys.stdin.read()'\n"
        "child = Child('x', [sys.executable, '-c', code], ready=re.compile('^r$')); child.until_ready(20)\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", outer], cwd=ROOT, stdout=subprocess.PIPE, encoding="ascii")
    with process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert lives(pid)
        process.kill()

    assert gone([pid])


@needs_signals
def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """`nohup make run` survives the end of the terminal."""
    code = (
        "import os, signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from tools.stopping import signals_noted\n"
        "with signals_noted() as stopping: os.kill(os.getpid(), signal.SIGHUP); stopping.wait(0.1)\n"
        "with signals_noted() as stopping: os.kill(os.getpid(), signal.SIGTERM); stopping.wait(0.1)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)

    assert "tools.stopping.Stopped: stopped by SIGTERM" in answer.stderr
    assert "SIGHUP" not in answer.stderr


@needs_signals
def test_ctrl_c_reaches_a_program_through_us_alone() -> None:
    """A terminal signals everything in the foreground; what we started is to end in our order."""
    with python(SLEEP) as child:
        child.until_ready(20)

        assert os.getsid(child.pid) != os.getsid(0)


@needs_signals
def test_an_interrupt_is_heard_even_where_a_script_started_it_in_the_background() -> None:
    """A shell without job control starts `... &` with SIGINT ignored; `kill -INT` must end it all the same."""
    program = (
        "import os, signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from tools.stopping import signals_noted, Stopped\n"
        "with signals_noted() as stopping:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    try:\n"
        "        stopping.wait(5)\n"
        "    except Stopped:\n"
        "        print('stopped')\n"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "stopped\n"
