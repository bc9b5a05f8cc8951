"""A body that carried a valid secret but is not a valid notification: what is kept of it, so that nothing is lost.

Pure. It never holds a body that came without a valid secret.
"""

import codecs
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from webhook.notification import FieldError

Reason = Literal["invalid", "too_large"]

BODY_LIMIT = 256 * 1024
"""Bytes. A larger body is refused unread; its first 256 KiB are kept."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refused body.

    Attributes:
        received_at: when it came, in UTC.
        reason: `invalid` or `too_large`.
        errors: what is wrong with which field.
        body: what is kept of it: text where that is UTF-8, else bytes.
        size: of the whole body, in bytes.
        digest: of the whole body, so that the same body is kept once a day.
        recorded_at: when it was recorded after all, as an app that was upgraded took it; None where it was not.
    """

    received_at: datetime
    reason: Reason
    errors: tuple[FieldError, ...]
    body: str | bytes
    size: int
    digest: str
    recorded_at: datetime | None = None

    @classmethod
    def of(cls, body: bytes, received_at: datetime, errors: list[FieldError] | None = None) -> Self:
        """Keep what can be kept of a body."""
        return cls(
            received_at,
            "too_large" if len(body) > BODY_LIMIT else "invalid",
            tuple(errors or ()),
            _text_or_bytes(body),
            len(body),
            hashlib.sha256(body).hexdigest(),
        )

    @property
    def day(self) -> str:
        """The day on which it came, such as 2026-03-01: the PartitionKey."""
        return f"{self.received_at:%Y-%m-%d}"

    @property
    def truncated(self) -> bool:
        """Whether only the beginning is kept."""
        return self.size > BODY_LIMIT


def _text_or_bytes(body: bytes) -> str | bytes:
    kept = body[:BODY_LIMIT]
    try:
        # a character that the cut went through is left out; one that is broken in the body itself is an error
        return codecs.getincrementaldecoder("utf-8")().decode(kept, final=len(kept) == len(body))
    except UnicodeDecodeError:
        return kept
