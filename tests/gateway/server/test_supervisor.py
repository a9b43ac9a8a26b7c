"""What the supervisor does about signals, and about workers that end. On the real command."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.gateway.origin import Origin
from tests.gateway.running import eventually
from tests.gateway.server.sites import Upload, site
from tests.gateway.serving import Serve, Serving
from tests.stores.store_servers import RedisServer


def refuses(serving: Serving) -> bool:
    try:
        serving.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_all_workers_agree(serve: Serve, origin: Origin) -> None:
    serving = serve(site(origin, workers=3))
    eventually(lambda: len(serving.workers) == 3)
    upload = Upload(serving, "a")
    for _ in range(60):  # each on a connection of its own, so by any of the workers
        shown = serving.show("a")
        assert (shown["state"], shown["received"]) == ("running", 1_000_000)
    upload.client.close()
    eventually(lambda: serving.show("a") == {"state": "error", "status": 0})
    for _ in range(60):
        assert serving.show("a") == {"state": "error", "status": 0}


def test_gateways_agree_on_redis(serve: Serve, origin: Origin, redis: RedisServer) -> None:
    text = site(origin, workers=2)
    store = 'setup { progress.store "STORE"; }\n'
    by_directive = serve(text + store.replace("STORE", redis.url))
    by_flag = serve(text + store.replace("STORE", "memory"), "--store-url", redis.url)
    eventually(lambda: len(by_directive.workers) == len(by_flag.workers) == 2)

    def agree(**said: object) -> bool:
        # Each on a connection of its own, so by any of the workers.
        shown = [each.show("a") for each in (by_directive, by_flag) for _ in range(20)]
        return all(answer | said == answer for answer in shown)

    upload = Upload(by_directive, "a")
    eventually(lambda: agree(state="running", received=1_000_000))
    assert redis.command("EXISTS", "mod_progress:v3:a") == "1"
    upload.client.close()
    eventually(lambda: agree(state="error", status=0))
    assert agree(state="error", status=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_the_end_waits_for_what_is_in_flight(
    serve: Serve, origin: Origin, number: signal.Signals
) -> None:
    serving = serve(site(origin))
    idle = serving.connect()
    upload = Upload(serving, "a")
    serving.signal(number)
    assert idle.recv(1) == b""
    idle.close()

    eventually(lambda: refuses(serving))
    answer = upload.finish()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in answer
    assert serving.wait() == 0
    assert origin.received == [b"x" * 2_000_000]


def test_the_end_waits_no_longer_than_its_limit(serve: Serve, origin: Origin) -> None:
    serving = serve(site(origin).replace("limits.drain_time 10", "limits.drain_time 1"))
    upload = Upload(serving, "a")
    serving.signal(signal.SIGTERM)
    assert serving.wait() == 0
    with pytest.raises(ConnectionError):
        upload.finish()
    upload.client.close()


def test_a_second_signal_ends_it_at_once(serve: Serve, origin: Origin) -> None:
    serving = serve(site(origin))
    upload = Upload(serving, "a")
    serving.signal(signal.SIGTERM)
    eventually(lambda: refuses(serving))
    serving.signal(signal.SIGTERM)
    assert serving.wait() == 0
    upload.client.close()


def test_a_signal_waits_from_the_moment_that_the_url_is_told(serve: Serve, origin: Origin) -> None:
    status = Path(f"/proc/{serve(site(origin)).process.pid}/status").read_text()
    blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        assert blocked >> number - 1 & 1, number


def test_a_worker_that_dies_is_replaced(serve: Serve, origin: Origin) -> None:
    serving = serve(site(origin))
    eventually(lambda: len(serving.workers) == 2)
    victim = serving.workers[0]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: serving.said(f"worker {victim} died (SIGKILL)"))
    eventually(lambda: len(serving.workers) == 2)
    for _ in range(20):
        assert serving.get("/hello") == (200, b"one")


def test_workers_do_not_outlive_a_supervisor_that_was_killed(serve: Serve, origin: Origin) -> None:
    serving = serve(site(origin))
    eventually(lambda: len(serving.workers) == 2)
    workers = serving.workers
    serving.signal(signal.SIGKILL)
    serving.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_child_that_it_did_not_start_may_end(serve: Serve, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    serving = serve(site(), prefix=("sh", "-c", 'cat gate > cat.out & exec "$@"', "sh"))
    eventually(lambda: len(serving.workers) == 3)
    (tmp_path / "gate").write_bytes(b"x")
    eventually(lambda: len(serving.workers) == 2)
    assert serving.get("/hello") == (200, b"one")
    serving.signal(signal.SIGTERM)
    assert serving.wait() == 0


def test_as_the_first_process_of_a_container_it_reaps_orphans(serve: Serve, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    container = ("unshare", "--pid", "--fork", "--kill-child=TERM", "--mount-proc")
    serving = serve(
        site(), prefix=(*container, "sh", "-c", '(cat gate > cat.out &); exec "$@"', "sh")
    )
    (supervisor,) = children(serving.process.pid)
    eventually(lambda: len(children(supervisor)) == 3)
    (tmp_path / "gate").write_bytes(b"x")
    eventually(lambda: len(children(supervisor)) == 2)
    assert serving.get("/hello") == (200, b"one")
    os.kill(supervisor, signal.SIGTERM)
    assert serving.wait() == 0


def test_it_knows_of_its_workers_where_its_parent_ignored_sigchld(serve: Serve) -> None:
    serving = serve(site(), prefix=("sh", "-c", 'trap "" CHLD; exec "$@"', "sh"))
    eventually(lambda: len(serving.workers) == 2)
    victim = serving.workers[0]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: serving.said(f"worker {victim} died (SIGKILL)"))
    serving.signal(signal.SIGTERM)
    assert serving.wait() == 0


def test_a_worker_may_die_of_any_signal(serve: Serve) -> None:
    serving = serve(site())
    eventually(lambda: len(serving.workers) == 2)
    victim = serving.workers[0]
    os.kill(victim, signal.SIGRTMIN + 1)
    eventually(lambda: serving.said(f"worker {victim} died (signal {signal.SIGRTMIN + 1})"))
    eventually(lambda: len(serving.workers) == 2)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_signals_that_other_servers_take_end_nothing(serve: Serve, number: signal.Signals) -> None:
    serving = serve(site())
    eventually(lambda: len(serving.workers) == 2)
    before = serving.workers
    serving.signal(number)
    serving.configuration.write_text("nothing")
    serving.signal(signal.SIGHUP)
    eventually(lambda: serving.said("not reloaded"))  # after the signal before it
    assert set(before) <= set(serving.workers)
    assert not serving.said("died")


def files_of(pid: int) -> set[str]:
    files = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it is closed by now
            files.add(os.readlink(entry))  # noqa: PTH115
    return files


def test_a_log_that_is_moved_away_is_begun_anew(serve: Serve, tmp_path: Path) -> None:
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    text = f'setup {{ module_load "mod_accesslog"; accesslog "{log}"; }}'
    serving = serve(site() + text)
    eventually(lambda: len(serving.workers) == 2)
    serving.get("/hello")
    eventually(lambda: log.read_bytes().count(b"/hello") == 1)
    log.rename(moved)
    serving.signal(signal.SIGUSR1)
    eventually(lambda: all(str(log) in files_of(worker) for worker in serving.workers))
    eventually(lambda: not any(str(moved) in files_of(worker) for worker in serving.workers))
    serving.get("/hello")
    eventually(lambda: log.read_bytes().count(b"/hello") == 1)
    assert moved.read_bytes().count(b"/hello") == 1


def test_the_limit_of_descriptors_is_raised(serve: Serve) -> None:
    serving = serve(site(), prefix=("prlimit", "--nofile=300:700"))
    eventually(lambda: len(serving.workers) == 2)
    for process in (serving.process.pid, *serving.workers):
        limits = Path(f"/proc/{process}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
        assert line.split()[3:5] == ["700", "700"]
