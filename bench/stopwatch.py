"""Runs a program to its end, and says in JSON what it took: `python -I -S bench/stopwatch.py PROGRAM ARGUMENT ...`.

The program's output is thrown away. This is a process of its own, and imports next to nothing, because Linux counts the
memory of whoever starts a program as the program's own until that has taken more.
"""

import json
import os
import sys
import time

if __name__ == "__main__":
    started = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
    _, status, usage = os.wait4(process, 0)
    taken = {
        "status": os.waitstatus_to_exitcode(status),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }
    print(json.dumps(taken))
