"""What a server's processes have used, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

#: Fields of /proc/PID/stat after the command's name: utime, stime, cutime, cstime (proc(5)).
CPU_FIELDS = slice(11, 15)


def descendants(pid: int) -> list[int]:
    """Return ``pid`` and every process that it started, and so on."""
    found = [pid]
    for parent in found:
        for thread in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(map(int, thread.read_text().split()))
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its descendants, ended ones included."""
    ticks = 0
    for process in descendants(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[CPU_FIELDS]))
    return ticks / TICKS_PER_SECOND


def memory(pid: int) -> int:
    """Return the bytes of memory of a process and its descendants, shared pages counted once."""
    return sum(proportional_set_size(process) for process in descendants(pid))


def proportional_set_size(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Pss":
            return int(value.split()[0]) * 1024
    raise LookupError(f"process {pid} has no Pss")
