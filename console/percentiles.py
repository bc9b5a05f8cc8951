"""Percentiles by nearest rank: each is a value that was really measured."""

import math
from collections.abc import Sequence


def nearest_rank(ranked: Sequence[float], share: float) -> float:
    """Give the least of the values, in order and at least one, that this share of them does not exceed."""
    return ranked[max(math.ceil(share * len(ranked)), 1) - 1]
