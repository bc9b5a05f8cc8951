"""Where results go: a file that is complete or as it was before, or standard output.

Never leaves half a file under the name that was asked for. The data is not forced to the disk.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from console import ConsoleError


class FileError(ConsoleError):
    """A file cannot be written."""


@contextmanager
def written(target: Path | None) -> Iterator[BinaryIO]:
    """Give what to write to.

    A file is written beside the target, and takes its name when the block ends well; otherwise it disappears, whatever
    ended the block. What is no file (a device, a named pipe) is written to as it is.

    Args:
        target: None for standard output.

    Raises:
        FileError: it cannot be written.
    """
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        with _replaced(Path(os.path.realpath(target))) as stream:  # a link goes on leading to the newest
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror}") from None


@contextmanager
def _replaced(target: Path) -> Iterator[BinaryIO]:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def former(target: Path | None) -> str:
    """Say what is there when the new content did not become whole, as after Ctrl-C."""
    if target is None:
        return "what was printed is not all"
    if not target.exists():
        return f"there is no {target}, as before"
    return f"{target} is as it was before" if target.is_file() else f"what {target} got is not all"
