"""What is kept of a body that was refused."""

import hashlib
from datetime import UTC, datetime

import pytest

from webhook.rejection import BODY_LIMIT, Rejection

RECEIVED = datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC)


def kept(body: bytes) -> str | bytes:
    """Give what is kept of a body."""
    return Rejection.of(body, RECEIVED).body


def filled(end: bytes, start: bytes = b"") -> bytes:
    """Give a body whose first 256 KiB are a start and x, and that goes on with some bytes."""
    return start + b"x" * (BODY_LIMIT - len(start)) + end


@pytest.mark.parametrize("text", ["", "no JSON", '{"a": "Grüße 😀"}', "\x00\t\r\n", "\ufeffBOM", "\ufffd"], ids=ascii)
def test_a_body_in_utf8_is_kept_as_text(text: str) -> None:
    """People read rejections in a table browser, where text is text."""
    assert kept(text.encode()) == text


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xff\xfe{\x00}\x00", id="UTF-16"),
        pytest.param("Grüße".encode("latin-1"), id="Latin-1"),
        pytest.param(b"\x80", id="continuation byte"),
        pytest.param(b"\xed\xa0\x80", id="surrogate"),
        pytest.param(b"\xc0\xaf", id="overlong"),
        pytest.param(b"{}\xe2\x82", id="a character broken off at the end"),
        pytest.param(filled(b"", b"\xff"), id="invalid at the start of a full body"),
        pytest.param(b"x" * (BODY_LIMIT - 1) + b"\xe2", id="a character broken off at the end of a full body"),
    ],
)
def test_a_body_that_is_no_utf8_is_kept_as_bytes(body: bytes) -> None:
    """What cannot be read as text must not be lost or mended on the way."""
    assert kept(body) == body


def test_a_body_at_the_limit_is_kept_whole() -> None:
    """The limit itself is not over the limit."""
    rejection = Rejection.of(filled(b""), RECEIVED)

    assert rejection.body == "x" * BODY_LIMIT
    assert (rejection.reason, rejection.truncated, rejection.size) == ("invalid", False, BODY_LIMIT)


def test_a_body_over_the_limit_is_kept_up_to_it() -> None:
    """A sender gone mad must not fill the table, but the beginning says what it was."""
    rejection = Rejection.of(filled(b"y"), RECEIVED)

    assert rejection.body == "x" * BODY_LIMIT
    assert (rejection.reason, rejection.truncated, rejection.size) == ("too_large", True, BODY_LIMIT + 1)


@pytest.mark.parametrize("character", ["ü", "€", "😀"], ids=["2 bytes", "3 bytes", "4 bytes"])
@pytest.mark.parametrize("within", [1, 2, 3])
def test_a_cut_through_a_character_leaves_it_out(character: str, within: int) -> None:
    """The cut is ours: it must not turn a readable text into bytes."""
    encoded = character.encode()
    before = min(within, len(encoded) - 1)
    body = b"x" * (BODY_LIMIT - before) + encoded + b"yy"

    assert kept(body) == "x" * (BODY_LIMIT - before)


def test_a_cut_between_characters_loses_none() -> None:
    """The last whole character within the limit is kept."""
    assert kept(b"x" * (BODY_LIMIT - 4) + "😀😀".encode()) == "x" * (BODY_LIMIT - 4) + "😀"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(filled(b"yy", b"\xff"), filled(b"", b"\xff"), id="before the cut"),
        pytest.param(
            b"x" * (BODY_LIMIT - 1) + b"\xffyy", b"x" * (BODY_LIMIT - 1) + b"\xff", id="in the last byte before the cut"
        ),
        pytest.param(filled(b"\xff"), "x" * BODY_LIMIT, id="after the cut"),
    ],
)
def test_a_long_body_that_is_no_utf8_is_kept_as_bytes_only_if_what_is_kept_is_none(
    body: bytes, expected: str | bytes
) -> None:
    """Only the kept part decides how it is kept."""
    assert kept(body) == expected


def test_the_digest_is_of_the_whole_body() -> None:
    """Two long bodies that differ after the cut are two rejections."""
    bodies = [b"", b"a", filled(b"y"), filled(b"z")]
    digests = [Rejection.of(body, RECEIVED).digest for body in bodies]

    assert digests == [hashlib.sha256(body).hexdigest() for body in bodies]
    assert len(set(digests)) == len(bodies)


@pytest.mark.parametrize(
    ("received", "day"),
    [
        (RECEIVED, "2026-03-01"),
        (datetime(2026, 3, 2, tzinfo=UTC), "2026-03-02"),
        (datetime(2026, 12, 31, 12, tzinfo=UTC), "2026-12-31"),
    ],
)
def test_the_day_is_that_of_the_receipt_in_utc(received: datetime, day: str) -> None:
    """The same body is kept once a day, and a day's rejections are one partition."""
    rejection = Rejection.of(b"x", received)

    assert (rejection.received_at, rejection.day) == (received, day)


def test_a_body_that_was_not_looked_at_has_no_errors() -> None:
    """A body that is too large is refused unread."""
    assert Rejection.of(filled(b"y"), RECEIVED).errors == ()
