"""The lookup table at a thousand and at a million entries, and how a million of them expire.

Times are those of the processor, so that other programs on the machine do not count.

    python bench/table.py
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import TypeVar

from mod_progress.table import LookupTable
from mod_progress.transfer import Transfer

SMALL, LARGE = 1_000, 1_000_000
ROUNDS = 100
BATCH = 200
TTL = 30.0

Argument = TypeVar("Argument")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time that it shows."""
        return self.now


def register(table: LookupTable, identifier: str) -> Transfer:
    transfer = table.register(identifier, 1_000_000)
    assert transfer is not None
    return transfer


def full_table(size: int) -> LookupTable:
    """Return a table at its capacity, every other entry finished.

    So each new transfer makes an old one leave, and the table keeps its size.
    """
    table = LookupTable(TTL, size, Clock())
    for number in range(size):
        transfer = register(table, f"old-{number}")
        if number % 2:
            transfer.delivered()
    return table


def microseconds_each(
    function: Callable[[Argument], object], arguments: Sequence[Argument]
) -> float:
    start = time.thread_time()
    for argument in arguments:
        function(argument)
    return (time.thread_time() - start) / len(arguments) * 1e6


def use(table: LookupTable, dictionary: dict[str, None], turn: int) -> Iterator[tuple[str, float]]:
    """Register some transfers, look others up, finish the first; yield what each of them took."""
    new = [f"new-{turn}-{number}" for number in range(BATCH)]
    old = [f"old-{random.randrange(0, table.capacity, 2)}" for _ in range(BATCH)]
    started: list[Transfer] = []
    yield "register", microseconds_each(lambda each: started.append(register(table, each)), new)
    yield "lookup", microseconds_each(table.lookup, old)
    yield "finish", microseconds_each(Transfer.delivered, started)
    yield "a dict's own lookup", microseconds_each(dictionary.get, old)


def compare_sizes() -> None:
    """Print what an operation takes at each size, the sizes taking turns.

    A lookup in a bare dict stands beside them: what a million entries cost it, too, is the
    processor's caches missing.
    """
    tables = {size: full_table(size) for size in (SMALL, LARGE)}
    dictionaries = {size: dict.fromkeys(f"old-{n}" for n in range(size)) for size in tables}
    took: dict[str, dict[int, list[float]]] = {}
    for turn in range(ROUNDS):
        for size, table in tables.items():
            for operation, each in use(table, dictionaries[size], turn):
                took.setdefault(operation, {}).setdefault(size, []).append(each)
    print(f"| operation | µs at {SMALL:,} entries | µs at {LARGE:,} entries | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for operation, sizes in took.items():
        small, large = median(sizes[SMALL]), median(sizes[LARGE])
        print(f"| {operation} | {small:.2f} | {large:.2f} | {large / small:.2f} |")


def expire() -> None:
    """Print the longest of the lookups that let a million expired entries go."""
    clock = Clock()
    table = LookupTable(TTL, LARGE, clock)
    for number in range(LARGE):
        register(table, f"old-{number}").delivered()
    clock.now = TTL + 1
    took = []
    while len(table):
        start = time.thread_time_ns()
        table.lookup("of nobody")
        took.append((time.thread_time_ns() - start) / 1e3)
    print(
        f"\n{LARGE:,} finished entries left in {len(took):,} lookups, {sum(took) / 1e6:.2f} s in "
        f"all; the median lookup took {median(took):.1f} µs, the longest {max(took):.0f} µs."
    )


if __name__ == "__main__":
    compare_sizes()
    expire()
