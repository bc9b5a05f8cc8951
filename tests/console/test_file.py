"""Where results go: a file is complete or as it was before."""

import os
import stat
import sys
from pathlib import Path

import pytest

from console.file import FileError, former, written


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Name a file in an empty folder."""
    return tmp_path / "result.csv"


def test_a_file_appears_when_it_is_complete(target: Path) -> None:
    """Whoever watches the folder never sees a part of it under that name."""
    with written(target) as stream:
        stream.write(b"half, ")
        stream.flush()
        assert not target.exists()
        stream.write(b"whole")

    assert target.read_bytes() == b"half, whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("end", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, b"old"])
def test_whatever_ends_the_work_leaves_what_was_there(
    target: Path, before: bytes | None, end: type[BaseException]
) -> None:
    """A scheduled export that fails must not take away the one of yesterday."""
    if before is not None:
        target.write_bytes(before)

    def work() -> None:
        with written(target) as stream:
            stream.write(b"half")
            raise end

    with pytest.raises(end):
        work()

    assert [file.read_bytes() for file in target.parent.iterdir()] == ([] if before is None else [before])


def test_a_file_is_replaced(target: Path) -> None:
    """As `curl -o`, `sort -o` and DuckDB's COPY do: an export is run again and again."""
    target.write_bytes(b"old")

    with written(target) as stream:
        stream.write(b"new")

    assert target.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="Windows has neither")
def test_a_link_goes_on_leading_to_the_file(target: Path) -> None:
    """`latest.csv` may be a link to where the data is."""
    link = target.with_name("latest.csv")
    link.symlink_to(target)

    with written(link) as stream:
        stream.write(b"new")

    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
def test_others_may_read_it_if_they_may_read_what_we_write(target: Path) -> None:
    """Files for one's eyes only, as temporary files are, would keep the program out that the export is for."""
    before = os.umask(0o027)
    try:
        with written(target):
            pass
    finally:
        os.umask(before)

    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_what_is_no_file_is_written_to_as_it_is() -> None:
    """A device or a named pipe cannot be replaced; and what goes wrong there is said."""
    with written(Path("/dev/null")) as stream:
        stream.write(b"anything")
    with (
        pytest.raises(FileError, match="cannot write /dev/full: No space left on device"),
        written(Path("/dev/full")) as stream,
    ):
        stream.write(b"anything")

    assert not Path("/dev/null").is_file()


def test_where_nothing_can_be_written_a_line_says_why(target: Path) -> None:
    """The folder may not be there, and the name may be that of a folder."""
    for place in (target / "below", target.parent):
        with pytest.raises(FileError, match=r"cannot write .*: \w+") as caught, written(place):
            pass
        assert "\n" not in str(caught.value)

    assert list(target.parent.iterdir()) == []


def test_without_a_file_it_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Byte for byte: no line ends are added where the system has others."""
    with written(None) as stream:
        stream.write(b"a\r\nb\n")

    assert capfdbinary.readouterr().out == b"a\r\nb\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("new", "there is no {}, as before"),
        ("old", "{} is as it was before"),
        (os.devnull, "what {} got is not all"),
    ],
)
def test_what_is_there_after_an_interruption_is_said(tmp_path: Path, name: str, said: str) -> None:
    """Whoever pressed Ctrl-C wants to know whether the file can still be used."""
    (tmp_path / "old").write_bytes(b"old")

    assert former(tmp_path / name) == said.format(tmp_path / name)
    assert former(None) == "what was printed is not all"
