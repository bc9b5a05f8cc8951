"""A program that these tools started: what it says, whether it lives, and its end.

Every child gets a session of its own, so that Ctrl-C reaches it through us alone and in our order, and a standard input
that ends when we do, so that a child that minds it does not outlive us even if we are killed. Ending a child ends its
whole process group. Never decides what to start or what the output means.

On Windows a child gets a process group instead of a session, and is ended by the end of its input or, failing that, by
force. That has not been run: no Windows machine was at hand.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.problem import Problem
from tools.stopping import NEVER, Stopping

_GLANCE = 0.05  # seconds between two looks at whether somebody asked to stop
_TAIL = 200  # lines of output kept
_ORPHANS = 2.0  # seconds that the rest of a group gets once its first process is gone


class Child:
    """A started program. Leaving the `with` block ends it."""

    def __init__(  # noqa: PLR0913 - all but the first two are by name
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        ready: re.Pattern[str] | None = None,
        hear: Callable[[str], None] | None = None,
        quiet: bool = True,
        gentle_end: bool = False,
        end_by: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Start the program.

        name: what messages call it.
        folder: its working folder, else ours.
        environment: all its variables, else ours.
        ready: the line of output by which it says that it is ready, for `until_ready`.
        hear: called with each line of its output (both streams), in another thread.
        quiet: False lets it write to our own output instead, for progress on a terminal.
        gentle_end: whether the end of its standard input makes it end by itself.
        end_by: the signal that asks it to end, where there are signals.
        """
        self.name = name
        self._ready = ready
        self._hear = hear
        self._gentle_end = gentle_end
        self._end_by = end_by
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._match: re.Match[str] | None = None
        self._ended = False
        try:
            self._process = subprocess.Popen(
                [os.fspath(part) for part in command],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if quiet else None,
                stderr=subprocess.STDOUT if quiet else None,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise Problem(f"cannot start {name}: {error.strerror}: {os.fspath(command[0])}") from error
        # A daemon: whatever still holds the other end of the pipe must not keep us from ending.
        self._listener = threading.Thread(target=self._listen, name=f"output of {name}", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        """Do nothing more: it has been started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.end()

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, None while it lives; a negative number is the signal that ended it."""
        return self._process.poll()

    def last_words(self, lines: int = 15) -> str:
        """Return the last lines of its output."""
        return "\n".join(list(self._tail)[-lines:])

    def until_ready(self, seconds: float, stopping: Stopping = NEVER) -> re.Match[str]:
        """Wait for the line that matches `ready`, and give the match.

        Raises Problem if it ends before, or says nothing of the kind in time; Stopped if somebody asks to stop.
        """
        deadline = time.monotonic() + seconds
        while self._match is None:
            if self.status is not None:
                self._listener.join(1)
                if self._match is None:
                    raise Problem(self.obituary())
            elif time.monotonic() > deadline:
                raise Problem(f"{self.name} did not start within {seconds:.0f} seconds{self._quoted()}")
            stopping.wait(_GLANCE)
        return self._match

    def until_ended(self, stopping: Stopping = NEVER) -> int:
        """Wait for its end, and give its exit status. Raises Stopped if somebody asks to stop."""
        while self.status is None:
            stopping.wait(_GLANCE)
        self._listener.join(1)
        return self._process.wait()

    def obituary(self) -> str:
        """Say in one line that it ended, and below it what it said last."""
        self._listener.join(1)
        status = self.status
        if status is None:
            how = "is running"
        elif status < 0:
            how = f"was ended by {signal.Signals(-status).name}"
        else:
            how = f"ended with exit status {status}"
        return f"{self.name} {how}{self._quoted()}"

    def end(self, seconds: float = 12) -> None:
        """End it gently, then, after the time given, by force; with all of its process group. Does no harm twice."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        if self._ended:
            return
        if sys.platform != "win32":
            self._signal_group(self._end_by)
        elif not self._gentle_end:
            self._process.terminate()
        _wait(seconds, lambda: self.status is not None)
        _wait(min(seconds, _ORPHANS), lambda: not self._group_lives())
        if self.status is None or self._group_lives():
            self._signal_group(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        self._process.wait()
        self._listener.join(1)
        self._ended = True

    def _listen(self) -> None:
        if self._process.stdout is None:
            return
        with self._process.stdout as lines:
            for raw in lines:
                line = raw.rstrip("\r\n")
                self._tail.append(line)
                if self._ready and not self._match:
                    self._match = self._ready.search(line)
                if self._hear:
                    self._hear(line)

    def _quoted(self) -> str:
        words = self.last_words()
        return "; its last output:\n" + "\n".join(f"    {line}" for line in words.splitlines()) if words else ""

    def _signal_group(self, number: int) -> None:
        if sys.platform == "win32":
            self._process.kill()
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:  # macOS says so of a group whose members have ended and wait to be collected
            pass

    def _group_lives(self) -> bool:
        """Tell whether anyone of its group is left, once it is gone itself: a launcher can end before its program."""
        if sys.platform == "win32":
            return False
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def _wait(seconds: float, over: Callable[[], bool]) -> None:
    """Wait until something is over, or for so long."""
    deadline = time.monotonic() + seconds
    while not over() and time.monotonic() < deadline:
        time.sleep(0.01)
