"""Ordering without memory: what goes in comes out, in order, however much it is."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from console.publisher.spool import Spool

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("number", [0, 1, 999, 1_000, 1_001, 5_000])
def test_lines_come_by_falling_key_and_equal_ones_as_they_came(number: int) -> None:
    """The list is the same each time it is made."""
    chance = random.Random(number)
    lines = [(str(chance.randrange(100)), f"{each} ü\x00") for each in range(number)]
    with Spool() as spool:
        for key, text in lines:
            spool.add(key, text)
        found = list(spool.greatest_first())

    assert found == [text for key, text in sorted(lines, key=lambda line: line[0], reverse=True)]


def test_only_so_many_are_given_as_are_wanted() -> None:
    """The newest ten of a hundred thousand."""
    with Spool() as spool:
        for number in range(2_500):
            spool.add(f"{number:04}", str(number))
        assert list(spool.greatest_first(3)) == ["2499", "2498", "2497"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_lines() -> None:
    """200 MB of lines are put in order in a fraction of that."""
    program = (
        "from console.publisher.spool import Spool\n"
        "with Spool() as spool:\n"
        "    for number in range(200_000):\n"
        "        spool.add(str(number * 7919 % 200_003), 'x' * 1_000)\n"
        "    assert sum(len(text) for text in spool.greatest_first()) == 200_000_000\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert int(done.stdout) < 60_000  # KiB
