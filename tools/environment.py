"""The environment that everything else runs in: `.venv`, with requirements-dev.txt, `managedapps` and Azurite.

`ready()` makes it what it should be and is quick where it is already. Each part has a stamp, written last, that holds a
digest of all that the part was made from, so an interrupted installation, changed requirements, another Python and a
moved or copied folder all lead to a new one. Uses the standard library alone: it runs before anything is installed.
Never touches what lies outside `.venv`, and never removes a `.venv` folder that is not a virtual environment.

On Windows the paths below are the right ones, but this has not been run there.
"""

import contextlib
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from tools.azurite import NPM, ROOT
from tools.child import Child
from tools.problem import Problem
from tools.stopping import NEVER, Stopping

_ONLINE = "is the network there (behind a proxy: HTTPS_PROXY)? Then run it again"

# The stamp while pip works. If pip is killed, a package may be half there and pass for whole: all is made anew then.
_UNFINISHED = "unfinished"


# The command of console/, run from where it is: nothing is built, and what is changed there counts at once.
_COMMAND = "import sys; sys.path.insert(0, sys.argv.pop(1)); from console.main import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the parts of the environment of a checkout are.

    root: the checkout, with requirements-dev.txt and tools/azurite/.
    base: the Python that the environment is made with.
    """

    root: Path = ROOT
    base: Path = Path(getattr(sys, "_base_executable", None) or sys.executable)

    @property
    def folder(self) -> Path:
        """The virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """Its Python."""
        if sys.platform == "win32":
            return self.folder / "Scripts" / "python.exe"
        return self.folder / "bin" / "python"

    @property
    def azurite(self) -> Path:
        """The folder that npm installs Azurite into."""
        return self.folder / "azurite"

    @property
    def command(self) -> tuple[Path, str]:
        """Where the command `managedapps` is, and the script that it is."""
        if sys.platform == "win32":
            script = f'@"{self.python}" -P -c "{_COMMAND}" "{self.root}" %*\n'
            return self.python.parent / "managedapps.cmd", script
        words = (str(self.python), "-P", "-c", _COMMAND, str(self.root))
        return self.python.parent / "managedapps", f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'

    def is_current(self) -> bool:
        """Tell whether the running Python is this environment's."""
        return Path(sys.prefix).resolve() == self.folder.resolve()

    def packages_digest(self) -> str:
        """Return a digest of all that decides which packages are installed, and where."""
        return self._digest(self.root / "requirements-dev.txt", also=self.command[1])

    def azurite_digest(self) -> str:
        """Return a digest of all that decides which Azurite is installed, and where."""
        sources = self.root / "tools" / "azurite"
        return self._digest(sources / "package.json", sources / "package-lock.json")

    def _digest(self, *files: Path, also: str = "") -> str:
        digest = hashlib.sha256()
        for part in (
            str(self.folder),
            _kind(),
            *filter(None, [also]),
            *(str(len(file.read_bytes())) for file in files),
        ):
            digest.update(part.encode() + b"\0")
        for file in files:
            digest.update(file.read_bytes())
        return digest.hexdigest()


def _kind() -> str:
    """Name the kind of Python that runs: environments of another kind cannot be shared."""
    return f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]} {platform.machine()}"


def ready(environment: Environment, stopping: Stopping = NEVER) -> None:
    """Make the environment, or whatever part of it is missing or out of date.

    Raises Problem if that fails, Stopped if somebody asks to stop; what was begun is then done again next time.
    """
    try:
        if _stands(environment):
            return
        if environment.folder.exists() and not _ours(environment.folder):
            raise Problem(f"{environment.folder} exists and is no virtual environment: move it away, then run it again")
        environment.folder.mkdir(exist_ok=True)
        with _alone(environment.folder / "setup.lock", stopping):
            if not _runs(environment) or _stamp(environment.folder) == _UNFINISHED:
                _create(environment, stopping)
            if _stamp(environment.folder) != environment.packages_digest():
                _install_packages(environment, stopping)
            if _stamp(environment.azurite) != environment.azurite_digest():
                _install_azurite(environment, stopping)
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
        raise Problem(f"cannot set up {environment.folder}: {reason}") from error


def _stands(environment: Environment) -> bool:
    return (
        _stamp(environment.folder) == environment.packages_digest()
        and _stamp(environment.azurite) == environment.azurite_digest()
        and (environment.is_current() or _runs(environment))
    )


def _stamp(folder: Path) -> str:
    return _read(folder / "stamp")


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _write_stamp(folder: Path, digest: str) -> None:
    (folder / "stamp").write_text(digest, "utf-8")


def _ours(folder: Path) -> bool:
    """Tell whether the folder is a virtual environment, or one that we had begun to make, or empty."""
    return folder.is_dir() and (
        (folder / "pyvenv.cfg").exists() or (folder / "setup.lock").exists() or not any(folder.iterdir())
    )


def _runs(environment: Environment) -> bool:
    """Tell whether the environment was made for this folder, and its Python runs, is of our kind and has pip."""
    if _read(environment.folder / "made-for") not in ("", str(environment.folder)):
        return False  # a copy: its scripts lead to the original
    question = (
        "import importlib.util as u, platform as p, sys as s;"
        "print(s.prefix); print(p.python_implementation(), '%d.%d' % s.version_info[:2], p.machine());"
        "print(u.find_spec('pip') is not None)"
    )
    try:
        answer = subprocess.run(
            [environment.python, "-I", "-c", question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=True,
            encoding="utf-8",
        ).stdout.splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return answer[1:] == [_kind(), "True"] and Path(answer[0]).resolve() == environment.folder.resolve()


def _create(environment: Environment, stopping: Stopping) -> None:
    for item in environment.folder.iterdir():  # all but the lock that we hold
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        elif item.name != "setup.lock":
            item.unlink()
    _step(
        f"Creating .venv with Python {platform.python_version()}",
        [environment.base, "-m", "venv", environment.folder],
        environment.root,
        "Python's venv module failed: on Debian and Ubuntu, install the package python3-venv, then run it again",
        stopping,
    )
    (environment.folder / "made-for").write_text(str(environment.folder), "utf-8")


def _install_packages(environment: Environment, stopping: Stopping) -> None:
    digest = environment.packages_digest()
    _write_stamp(environment.folder, _UNFINISHED)
    try:
        _step(
            "Installing the Python packages of requirements-dev.txt",
            [
                *(environment.python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
                *("--requirement", environment.root / "requirements-dev.txt"),
            ],
            environment.root,
            f"pip could not install the packages: {_ONLINE}",
            stopping,
        )
    except Problem:  # pip ended by itself, and left nothing half done
        _write_stamp(environment.folder, "")
        raise
    command, script = environment.command
    command.write_text(script, "utf-8")
    command.chmod(0o755)
    _write_stamp(environment.folder, digest)


def _install_azurite(environment: Environment, stopping: Stopping) -> None:
    digest = environment.azurite_digest()
    environment.azurite.mkdir(exist_ok=True)
    (environment.azurite / "stamp").unlink(missing_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(environment.root / "tools" / "azurite" / name, environment.azurite / name)
    _step(
        "Installing Azurite, the local Azure Storage (some 400 npm packages)",
        [
            *(environment.python, "-c", NPM, "ci", "--omit=dev", "--ignore-scripts"),
            *("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"),
            # What npm has cached it takes from there; where there is no network, it says so in seconds, not minutes.
            *(
                "--prefer-offline",
                "--fetch-retries=2",
                "--fetch-retry-mintimeout=1000",
                "--fetch-retry-maxtimeout=5000",
            ),
        ],
        environment.azurite,
        f"npm could not install Azurite: {_ONLINE}",
        stopping,
    )
    _write_stamp(environment.azurite, digest)


def _step(what: str, command: Sequence[str | Path], folder: Path, when_it_fails: str, stopping: Stopping) -> None:
    """Run one step of the installation. A terminal sees its own output; elsewhere only a failure's last lines show."""
    print(f"{what} ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    with Child(what, command, folder=folder, quiet=not sys.stderr.isatty()) as child:
        status = child.until_ended(stopping)
        if status != 0:
            print(child.last_words(), file=sys.stderr, flush=True)
            raise Problem(when_it_fails)
    print(f"    done in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _alone(path: Path, stopping: Stopping) -> Iterator[None]:
    """Keep other processes out while the block runs. The system lifts the lock of a process that dies."""
    with path.open("a") as file:
        if not _lock(file):
            print("Waiting for another set-up of .venv to end ...", file=sys.stderr, flush=True)
            while not _lock(file):
                stopping.wait(0.2)
        yield


def _lock(file: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - exists on Windows alone

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - does not exist on Windows

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def continue_inside(environment: Environment, arguments: Sequence[str]) -> NoReturn:
    """Run `python -m tools` with these arguments under the environment's Python, in place of this process.

    Windows has no such thing: there this process waits, and ends with the same exit status.
    """
    command = [str(environment.python), "-m", "tools", *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        sys.exit(subprocess.call(command, cwd=environment.root))
    os.chdir(environment.root)
    os.execv(command[0], command)  # noqa: S606 - no shell wanted
