"""How fast the stores are, what it costs to publish, and what a show costs that asks a store.

Each rate is the best of three runs, of all processes together. Beside it is the least processor
time of an operation, which changes little on a busy machine. Updates come in batches of 1,000:
"together" of ids that lie side by side, "apart" of ids that lie anywhere. look_up_many looks up
1,000 ids by one call.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.synchronize import Barrier
from statistics import median
from typing import NamedTuple

from measurements import SHOW, requests, slow_uploads, wait_until_shown

from gateway import surroundings
from mod_progress.details import Details, encode
from mod_progress.stores.contract import Store, StoreError, Update
from mod_progress.stores.listing import Listing, Query, Sort
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.stores.memory import MemoryStore
from mod_progress.stores.redis.store import RedisStore
from mod_progress.tracker import Tracker
from mod_progress.transfer import Snapshot, State
from servers import running

BATCH = 1000
SECONDS = 0.7
ROUNDS = 3

#: What is measured; one of them by ``--only``.
PARTS = ["rates", "publishing", "delay", "listing", "elsewhere"]

Open = Callable[[], Store]
Opens = Callable[[int], Open]
Work = Callable[[Store, int], int]


def updates(numbers: list[int]) -> list[Update]:
    now = time.monotonic_ns()
    snapshot = Snapshot(State.RUNNING, 0, 0, 10**9, started=time.time_ns())
    details = encode(Details("POST", "/upload/of/somebody", "192.0.2.7"), "an id")
    return [
        Update(f"{each:016x}", now, snapshot._replace(received=each), 3600.0, True, details)
        for each in numbers
    ]


def fill(store: Store, entries: int) -> None:
    for first in range(0, entries, 5000):
        store.publish(updates(list(range(first, min(first + 5000, entries)))))


def update_together(store: Store, entries: int) -> int:
    first = random.randrange(max(1, entries - BATCH))
    store.publish(updates(list(range(first, first + BATCH))))
    return BATCH


def update_apart(store: Store, entries: int) -> int:
    store.publish(updates(random.choices(range(entries), k=BATCH)))
    return BATCH


def look_up(store: Store, entries: int) -> int:
    found = [store.lookup(f"{number:016x}") for number in random.choices(range(entries), k=BATCH)]
    for each in found:
        if isinstance(each, Future):
            each.result()
    return BATCH


def look_up_many(store: Store, entries: int) -> int:
    found = store.lookup_many(
        [f"{number:016x}" for number in random.choices(range(entries), k=BATCH)]
    )
    if isinstance(found, Future):
        found.result()
    return BATCH


class Measured(NamedTuple):
    """Operations a second, and the seconds of the processor that each takes."""

    rate: float
    time: float


def _process(
    store: Store,
    work: Work,
    entries: int,
    barrier: Barrier,
    results: multiprocessing.Queue[Measured],
) -> None:
    for _ in range(ROUNDS):
        with suppress(StoreError):
            work(store, entries)
        barrier.wait()
        done, start, spent = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - start < SECONDS:
            with suppress(StoreError):  # Redis on a busy machine may exceed its time
                done += work(store, entries)
        results.put(
            Measured(
                done / (time.perf_counter() - start),
                (time.process_time() - spent) / max(1, done),
            )
        )
        barrier.wait()


def measure(opens: Open, work: Work, entries: int, processes: int) -> Measured:
    """Return the rate of all processes together, and the processor time of an operation."""
    barrier = multiprocessing.Barrier(processes)
    results: multiprocessing.Queue[Measured] = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=_process, args=(opens(), work, entries, barrier, results))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    measured = [results.get() for _ in range(ROUNDS * processes)]
    for worker in workers:
        worker.join()
    rounds = [measured[i * processes : (i + 1) * processes] for i in range(ROUNDS)]
    rate = max(sum(each.rate for each in together) for together in rounds)
    return Measured(rate, min(each.time for each in measured))


def report_rates(opens: dict[str, Opens], sizes: list[int], processes: list[int]) -> None:
    head = f"{'store':8}{'entries':>10}{'processes':>11}{'operation':>17}"
    print(f"{head}{'a second':>12}{'µs of CPU':>11}")
    for size in sizes:
        for name, opens_of in opens.items():
            open_store = opens_of(size)
            fill(open_store(), size)
            for count in processes if name != "memory" else [1]:
                for work in (update_together, update_apart, look_up, look_up_many):
                    rate, spent = measure(open_store, work, size, count)
                    row = f"{name:8}{size:10,}{count:11}{work.__name__:>17}"
                    print(f"{row}{rate:12,.0f}{spent * 1e6:11.2f}")


def report_publishing(store: Store, transfers: int) -> None:
    """Tell what part of a core it takes to publish ``transfers`` that all move."""
    tracker = Tracker(store=store, capacity=2 * transfers)
    running = [
        tracker.track("POST", f"X-Progress-ID={number:016x}".encode(), None, 10**9)
        for number in range(transfers)
    ]
    time.sleep(1.0)
    for label, step in (("slowly", 10**5), ("fast", 10**7), ("not at all", 0)):
        moving, spent, start = 0.0, time.process_time(), time.perf_counter()
        while time.perf_counter() - start < 4.0:
            began = time.process_time()
            for transfer in running:
                if transfer is not None:
                    transfer.received += step
            moving += time.process_time() - began
            time.sleep(0.1)
        share = (time.process_time() - spent - moving) / (time.perf_counter() - start)
        print(f"{transfers:,} transfers that move {label}: {share:.1%} of a core")
    tracker.close()


def report_delay(opens: Open, shows: int) -> None:
    """Tell how far a show of another process is behind, of one transfer of 10 GB at 100 MB/s."""
    mine, other = Tracker(store=opens()), opens()
    transfer = mine.track("POST", b"X-Progress-ID=delay", None, 10**10)
    assert transfer is not None
    start, behind = time.perf_counter(), []
    for _ in range(shows):
        time.sleep(0.01)
        transfer.received = int((time.perf_counter() - start) * 1e8)
        found = other.lookup("delay")
        seen = found.result() if isinstance(found, Future) else found
        behind.append((transfer.received - seen.received) / 1e8)
    behind.sort()
    print(f"a show elsewhere is behind by {behind[shows // 2]:.3f} s, {behind[-1]:.3f} s at most")
    mine.close()


def report_listing(store: Store, entries: int) -> None:
    """Tell how long pages take, and how late another thread of the process is meanwhile."""
    assert isinstance(store, Listing)
    fill(store, entries)
    taken, late, ended = [], [], threading.Event()

    def tick() -> None:
        while not ended.is_set():
            before = time.perf_counter()
            time.sleep(0.001)
            late.append(time.perf_counter() - before - 0.001)

    ticking = threading.Thread(target=tick)
    ticking.start()
    for sort in Sort:  # each page differs, as the same one would be kept for a second
        began = time.perf_counter()
        store.page(Query(sort=sort)).result()
        taken.append(time.perf_counter() - began)
    ended.set()
    ticking.join()
    late.sort()
    print(f"a page of {entries:,} entries takes {median(taken):.2f} s; meanwhile another thread is")
    print(f"late by {late[len(late) * 99 // 100]:.4f} s in 99 of 100 cases, {late[-1]:.4f} at most")


def report_elsewhere(rounds: int) -> None:
    """Tell how many shows a gateway answers of its own transfer, and of another process's.

    The two gateways share the default store, since they have one working directory.
    """
    small = argparse.Namespace(size=0.0, only=[], seconds=1.5, connections=32, held=1)
    ratios = []
    with surroundings(small) as bench:
        start = "gateway", bench.backend.port, bench.directory, 1
        with running(*start) as own, running(*start) as other, slow_uploads(bench, own, 1, 0):
            wait_until_shown(other)
            for _ in range(rounds):
                here, there = (requests(bench, each, "GET", SHOW)["/s"] for each in (own, other))
                ratios.append(there / here)
                print(f"shows a second: {here:,.0f} of its own, {there:,.0f} of another process")
    print(f"a show of another process at {median(ratios):.2f} times the rate of one's own")


def memory(entries: int) -> Open:
    store = MemoryStore(capacity=2 * entries)
    return lambda: store


def local(entries: int) -> Open:
    return lambda: LocalStore(f"bench{entries}", capacity=2 * entries, lease=3600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = [1_000, 10_000, 100_000, 1_000_000]
    parser.add_argument("--entries", type=int, nargs="+", default=sizes)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--stores", nargs="+", choices=["memory", "local", "redis"])
    parser.add_argument("--redis", help="the URL of a server that may be written to")
    parser.add_argument("--only", choices=PARTS)
    given = parser.parse_args()
    opens: dict[str, Opens] = {"memory": memory, "local": local}
    if given.redis:
        opens["redis"] = lambda entries: lambda: RedisStore(given.redis, lease=3600)
    opens = {name: opens_of for name, opens_of in opens.items() if name in (given.stores or opens)}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        os.environ["XDG_RUNTIME_DIR"] = directory
        if given.only in (None, "rates"):
            report_rates(opens, given.entries, given.processes)
        for name, opens_of in opens.items():
            if given.only in (None, "publishing"):
                print(f"{name}:")
                report_publishing(opens_of(10_000)(), 10_000)
            if given.only in (None, "delay"):
                print(f"{name}:")
                report_delay(opens_of(1_000), 500)
            if given.only in (None, "listing"):
                print(f"{name}:")
                report_listing(opens_of(100_000)(), 100_000)
    if given.only in (None, "elsewhere"):
        report_elsewhere(5)


if __name__ == "__main__":
    main()
