"""The client of a Redis or Valkey server or cluster: scripts over many keys in one round trip."""

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

__all__ = ["Client", "Script"]

#: Seconds that the server has to accept a connection, and for each part of an answer.
TIMEOUT = 0.4

#: How many keys one call of a script takes: 0.2 ms of the server's time. In a cluster it is one,
#: since the keys of a call must be in one slot.
CHUNK = 100

#: How many keys are sent before the first answer is read.
PIPELINE = 2000

#: How many keys one step of a listing walks over.
SCAN = 1000

#: The place of a script's first key in its command.
_FIRST_KEY = 3


class Script:
    """A Lua script. The server knows it by its SHA-1, as the protocol has it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.hash = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Client:
    """A pool of connections, opened by the first call. Safe to share among threads.

    Raises `OptionError` if the URL is not valid. Every other fault raises `StoreError`, whose text
    holds no credential and no key.
    """

    def __init__(self, url: str) -> None:
        # redis-py repeats nothing: the callers of this class try again, and log it.
        self._options: dict[str, Any] = {
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": TIMEOUT,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        scheme = url.partition(":")[0]
        try:
            self._server = redis.Redis.from_url(url, **self._options)
            self._server.connection_pool.make_connection()
            if self._server.connection_pool.connection_kwargs.get("decode_responses"):
                raise ValueError  # a value is bytes, and no text
        except Exception:  # redis-py raises errors of its own, of Python and of ssl
            # The message has no part of the URL: what looks like a port may be half a password.
            raise OptionError("store", f"{scheme}://...", "a URL that Redis takes") from None
        #: What the log may show of the URL.
        self.name = f"{scheme}://{_address(self._server.connection_pool.connection_kwargs)}"
        self._url = url
        self._cluster: RedisCluster | None = None
        self._known = False
        self._connecting = threading.Lock()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._connecting:
            self._server.close()
            if self._cluster is not None:
                self._cluster.close()
                self._cluster = None
            self._known = False

    def run(
        self, script: Script, keys: Sequence[bytes], arguments: Sequence[Sequence[object]] = ()
    ) -> list[tuple[int, Any]]:
        """Run a script over the keys, each with its arguments.

        Returns the answer of each call that this took, after the index of the call's first key.
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
                answers += zip(places, self._call(script, calls), strict=True)
        except Exception as error:
            raise StoreError(_why(error)) from None
        return answers

    def call(self, script: Script, keys: Sequence[bytes], arguments: Sequence[object] = ()) -> Any:
        """Run a script once, over keys that are in one slot; return its answer."""
        try:
            (answer,) = self._call(script, [(keys, arguments)])
        except Exception as error:
            raise StoreError(_why(error)) from None
        return answer

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
            return self._cluster or self._server

    def _leads_to_cluster(self) -> bool:
        try:
            return bool(self._server.info("cluster").get("cluster_enabled"))
        except NoPermissionError:
            return False

    def _call(
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
            # Without its node, redis-py would ask a server which of the words are keys.
            nodes = {}
            if isinstance(client, RedisCluster):
                node = client.get_node_from_key(command[_FIRST_KEY])  # type: ignore[no-untyped-call]
                nodes["target_nodes"] = node
            pipeline.execute_command(*command, **nodes)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers


def _address(options: Mapping[str, Any]) -> str:
    """Return where the server is, without user and password."""
    if "path" in options:
        return str(options["path"])
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def _why(error: Exception) -> str:
    """Return what the server or the network said; the texts of other errors may hold keys."""
    return str(error) if isinstance(error, RedisError) else type(error).__name__
