"""The error of a failed operation, taken apart: the outer error first, then what caused it, as deep as it is nested.

Pure. The form is Azure Resource Manager's: code, message, and below them `details`, a list, or `innererror`.
https://learn.microsoft.com/azure/azure-resource-manager/management/common-deployment-errors
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Cause:
    """One of the errors.

    Attributes:
        depth: 0 for the outer one.
    """

    depth: int
    code: str | None
    message: str | None

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.code, self.message))) or "(neither code nor message)"


def causes(error: Any, depth: int = 0) -> Iterator[Cause]:  # noqa: ANN401 - whatever JSON holds
    """Give an error and its causes, in the order in which they stand."""
    if isinstance(error, list):
        for each in error:
            yield from causes(each, depth)
        return
    if not isinstance(error, dict):
        if error is not None:
            yield Cause(depth, None, str(error))
        return
    yield Cause(depth, _text(error.get("code")), _text(error.get("message")))
    if depth < _DEEPEST:
        for below in ("details", "innererror", "innerError"):
            yield from causes(error.get(below), depth + 1)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
