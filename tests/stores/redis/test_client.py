"""The ways to a server: TLS, a Unix socket, passwords, a cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mod_progress.stores.contract import StoreError, Update
from mod_progress.stores.listing import Query
from mod_progress.stores.redis.client import Client, Script
from mod_progress.stores.redis.store import RedisStore
from mod_progress.stores.totals import Totals
from mod_progress.transfer import Snapshot, State
from tests.ports import free_port
from tests.stores.store_servers import RedisServer, eventually, listed, look, page
from tests.stores.test_totals import ends

RUNNING = Snapshot(State.RUNNING, 50, 7, 100, 7, 200)


def works(url: str) -> bool:
    """Write and read a thousand entries, through two connections."""
    updates = [Update(f"id{number}", 1, RUNNING, 30.0, first=True) for number in range(1000)]
    store, other = RedisStore(url), RedisStore(url)
    store.publish(updates)
    eventually(lambda: {look(other, update.identifier) for update in updates} == {RUNNING})
    found_all = len(listed(other)) == len(updates)
    for each in store, other:
        each.close()
    return found_all


def test_a_unix_socket(redis_server: RedisServer) -> None:
    assert works(f"unix://{redis_server.socket}?db=2")
    assert Client(f"unix://{redis_server.socket}?password=geheim").name == (
        f"unix://{redis_server.socket}"
    )


def test_a_password(own_redis: RedisServer) -> None:
    own_redis.start()
    own_redis.command("CONFIG", "SET", "requirepass", "geheim")
    assert works(own_redis.url.replace("://", "://:geheim@"))


def test_a_user_who_may_not_ask_whether_it_is_a_cluster(own_redis: RedisServer) -> None:
    own_redis.start()
    own_redis.command("ACL", "SETUSER", "app", "on", ">geheim", "~*", "+@all", "-info")
    assert works(own_redis.url.replace("://", "://app:geheim@"))


@pytest.fixture
def tls_redis(tmp_path: Path) -> Iterator[tuple[RedisServer, str]]:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-days", "1"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    port = free_port()
    options = {
        "bind": "127.0.0.1",
        "tls-port": port,
        "tls-cert-file": certificate,
        "tls-key-file": key,
        "tls-auth-clients": "no",
    }
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    server = RedisServer(tmp_path, *words)
    server.start()
    yield server, f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}"
    server.kill()


def test_tls(tls_redis: tuple[RedisServer, str]) -> None:
    _, url = tls_redis
    assert works(url)
    with pytest.raises(StoreError, match="certificate"):
        RedisStore(url.partition("?")[0]).publish([Update("a", 1, RUNNING, 1.0, first=True)])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    """Three servers that share the keys."""
    servers = []
    for _ in range(3):
        options = ("--bind", "127.0.0.1", "--cluster-enabled", "yes")
        server = RedisServer(
            tmp_path_factory.mktemp("node"), *options, "--cluster-port", str(free_port())
        )
        server.start()
        servers.append(server)
    addresses = [f"127.0.0.1:{server.port}" for server in servers]
    subprocess.run(
        ["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"],
        check=True,
        capture_output=True,
    )
    eventually(lambda: all("state:ok" in each.command("CLUSTER", "INFO") for each in servers))
    yield servers
    for server in servers:
        server.kill()


def test_a_cluster(cluster: list[RedisServer]) -> None:
    assert works(cluster[0].url)
    assert all(int(server.command("DBSIZE")) > 200 for server in cluster)


def test_the_later_start_wins_in_a_cluster_too(cluster: list[RedisServer]) -> None:
    loser, winner = RedisStore(cluster[1].url), RedisStore(cluster[2].url)
    identifiers = [f"race{number}" for number in range(50)]
    loser.publish([Update(each, 10**7, RUNNING, 30.0, first=True) for each in identifiers])
    winner.publish([Update(each, 5 * 10**9, RUNNING, 30.0, first=True) for each in identifiers])
    late = loser.publish([Update(each, 10**7, RUNNING, 30.0, first=False) for each in identifiers])
    assert sorted(late.displaced) == sorted(identifiers)
    for store in loser, winner:
        store.close()


def test_the_totals_of_a_cluster_are_in_one_place(
    cluster: list[RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mod_progress.stores.walks.KEEP", 0.0)
    for server in cluster:
        server.command("FLUSHALL")
    stores = [RedisStore(server.url, lease=0.05) for server in cluster]
    for store in stores:
        totals = Totals()
        totals.count_end(RUNNING._replace(state=State.DONE), 1.0)
        for _ in range(2):  # the answer to the first was lost
            store.add_totals(totals)
    # A process with twenty transfers dies.
    updates = [Update(f"dead{number}", 1, RUNNING, 30.0, first=True) for number in range(20)]
    stores[0].publish(updates)

    def all_have(expected: dict[str, int]) -> bool:
        found = [page(store, Query(limit=1)).totals for store in stores]
        return all(totals is not None and ends(totals) == expected for totals in found)

    eventually(lambda: all_have({"upload done": 3, "upload error": 20}))
    for store in stores:
        store.close()


def test_a_slot_that_moved_is_found(cluster: list[RedisServer]) -> None:
    store = RedisStore(cluster[0].url)
    update = Update("moves", 1, RUNNING, 30.0, first=True)
    store.publish([update])
    slot = cluster[0].command("CLUSTER", "KEYSLOT", "mod_progress:v3:moves")
    held = [server for server in cluster if "mod_progress:v3:moves" in server.command("KEYS", "*")]
    (before,) = held
    after = next(server for server in cluster if server is not before)
    name = after.command("CLUSTER", "MYID")
    before.command("DEL", "mod_progress:v3:moves")
    # The new owner first, as one that imports the slot: only then the others take its word for it,
    # and not that of the old owner.
    after.command("CLUSTER", "SETSLOT", slot, "IMPORTING", before.command("CLUSTER", "MYID"))
    for server in (after, *(each for each in cluster if each is not after)):
        server.command("CLUSTER", "SETSLOT", slot, "NODE", name)

    def published() -> bool:
        try:
            store.publish([update])
        except StoreError:
            return False
        return True

    # Again and again, since on a slow machine the lease may lapse meanwhile.
    eventually(lambda: published() and look(store, "moves") == RUNNING)
    store.close()


def test_errors_hold_no_key(redis_server: RedisServer) -> None:
    client = Client(redis_server.url)
    with pytest.raises(StoreError) as caught:
        client.run(Script("return redis.call('NONSENSE', KEYS[1])"), [b"the-key"])
    assert "the-key" not in str(caught.value)
    client.close()


def test_scripts_are_loaded_again_where_the_server_forgot_them(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url)
    for _ in range(2):
        redis_server.command("SCRIPT", "FLUSH")
        store.publish([Update("a", 1, RUNNING, 30.0, first=True)])
        assert look(store, "a") == RUNNING
    store.close()
