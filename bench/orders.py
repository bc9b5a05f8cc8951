"""What a worker is told and what it answers, as JSON a line."""

from typing import TypedDict


class Order(TypedDict):
    """Deliver these notifications.

    lives: of several applications, the bodies of each in their order; a life's are delivered one after the other.
    in_flight: how many lives at a time.
    """

    lives: list[list[str]]
    in_flight: int
    secret: str


class Delivered(TypedDict):
    """What came of an order. Latencies, statuses and outcomes are in the order in which the calls ended.

    seconds, cpu_seconds: of all of it, the CPU of the worker process alone.
    latencies: in seconds.
    peak_memory: bytes that the process has had resident at most, so far.
    """

    seconds: float
    cpu_seconds: float
    latencies: list[float]
    statuses: list[int]
    outcomes: list[str]
    peak_memory: int
