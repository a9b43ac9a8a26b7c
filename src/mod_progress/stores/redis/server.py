"""A Redis or Valkey server, or a cluster of them: scripts over many keys in one round trip."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha1
from itertools import chain
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import NoPermissionError, NoScriptError, RedisError
from redis.retry import Retry

from mod_progress.options import OptionError
from mod_progress.stores.contract import StoreError

#: Seconds that the server has to accept a connection, and for each part of an answer.
TIMEOUT = 0.4

#: How many keys one call of a script takes: 0.2 ms of the server's time. In a cluster it is one,
#: since a call must not span slots.
CHUNK = 100

#: How many keys are sent before the first answer is read.
PIPELINE = 2000

#: How many keys one step of a listing walks over.
SCAN = 1000

#: Where a script's first key stands in its command.
_KEY = 3


class Script:
    """A Lua script, known to the server by its hash (the protocol's own use of SHA-1)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.hash = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Server:
    """A connection pool, opened with the first call. Safe to share among threads.

    Raises `OptionError` where the URL is not one. All else raises `StoreError`, whose text holds
    no credential and no key.
    """

    def __init__(self, url: str) -> None:
        # Nothing is tried twice here: whoever calls tries again, and says so.
        self._options: dict[str, Any] = {
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": TIMEOUT,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        scheme = url.partition(":")[0]
        try:
            self._client = redis.Redis.from_url(url, **self._options)
            self._client.connection_pool.make_connection()
        except (ValueError, TypeError):
            # No part of it in the message: what is taken for a port may be half a password.
            raise OptionError("store", f"{scheme}://...", "a URL that Redis takes") from None
        #: What may be said of the URL.
        self.name = f"{scheme}://{_place(self._client.connection_pool.connection_kwargs)}"
        self._url = url
        self._cluster: RedisCluster | None = None
        self._known = False
        self._connecting = threading.Lock()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._connecting:
            self._client.close()
            if self._cluster is not None:
                self._cluster.close()
                self._cluster = None
            self._known = False

    def call(
        self, script: Script, keys: Sequence[bytes], arguments: Sequence[Sequence[object]] = ()
    ) -> list[tuple[int, Any]]:
        """Run a script over the keys, each with its arguments.

        Returns the answer of each call that it took, with the place of its first key.
        """
        answers: list[tuple[int, Any]] = []
        try:
            size = 1 if isinstance(self._connect(), RedisCluster) else CHUNK
            for first in range(0, len(keys), PIPELINE):
                places = range(first, min(first + PIPELINE, len(keys)), size)
                calls = [
                    (keys[at : at + size], chain.from_iterable(arguments[at : at + size]))
                    for at in places
                ]
                answers += zip(places, self._execute(script, calls), strict=True)
        except Exception as error:
            raise StoreError(_why(error)) from None
        return answers

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """Walk over all keys that begin with ``prefix``."""
        try:
            yield from self._connect().scan_iter(match=prefix + b"*", count=SCAN)
        except Exception as error:
            raise StoreError(_why(error)) from None

    def _connect(self) -> redis.Redis | RedisCluster:
        with self._connecting:
            if not self._known:
                if self._leads_to_cluster():
                    self._cluster = RedisCluster.from_url(self._url, **self._options)
                self._known = True
            return self._cluster or self._client

    def _leads_to_cluster(self) -> bool:
        try:
            return bool(self._client.info("cluster").get("cluster_enabled"))
        except NoPermissionError:
            return False

    def _execute(
        self, script: Script, calls: Sequence[tuple[Sequence[bytes], Iterable[object]]]
    ) -> list[Any]:
        commands = [("EVALSHA", script.hash, len(keys), *keys, *rest) for keys, rest in calls]
        answers = self._send(commands)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            self._connect().script_load(script.text)
            answers = self._send(commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _send(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        client = self._connect()
        pipeline: Any = client.pipeline(transaction=False)
        for command in commands:
            # A cluster's client would ask a server where the keys of a script are.
            nodes = {}
            if isinstance(client, RedisCluster):
                node = client.get_node_from_key(command[_KEY])  # type: ignore[no-untyped-call]
                nodes["target_nodes"] = node
            pipeline.execute_command(*command, **nodes)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers


def _place(options: Mapping[str, Any]) -> str:
    """Return where the server is, without what opens its door."""
    if "path" in options:
        return str(options["path"])
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def _why(error: Exception) -> str:
    """Return what the server or the network said; other texts may hold keys."""
    return str(error) if isinstance(error, RedisError) else type(error).__name__
