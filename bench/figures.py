"""Figures as they are printed and kept: medians and 99th percentiles, tables, and the machine that they are from."""

import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

PACKAGES = (
    "aiohttp",
    "azure-core",
    "azure-data-tables",
    "azure-functions",
    "azure-functions-runtime",
    "pyarrow",
    "pydantic",
)


@dataclass(frozen=True, slots=True)
class Spread:
    """What repeated measurements of one thing gave: the median and the 99th percentile, in milliseconds."""

    median_ms: float
    p99_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        """Sum up at least one measurement."""
        percentiles = statistics.quantiles(
            [*seconds, seconds[-1]] if len(seconds) == 1 else seconds, n=100, method="inclusive"
        )
        return cls(round(statistics.median(seconds) * 1000, 3), round(percentiles[98] * 1000, 3))


@dataclass(frozen=True, slots=True)
class Table:
    """Something to print. The first column is text, the others are figures."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        """Lay it out in columns."""
        lines = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, ["-" * width for width in widths])
        laid_out = (
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines
        )
        return "\n".join([self.title, *(f"  {line}" for line in laid_out)])


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the benchmark found.

    figures: for results.json.
    """

    figures: Mapping[str, object]
    tables: Sequence[Table]


def ratio(value: float, to: float) -> float:
    """Give a ratio with as many digits as mean something."""
    return round(value / to, 3)


def machine() -> dict[str, object]:
    """Describe what the figures are from: time, machine, what else it had to do just before, Python and packages."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z",
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "processor": _processor(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {
            found.name: found.version
            for found in sorted(distributions(), key=lambda each: each.name)
            if found.name in PACKAGES
        },
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
