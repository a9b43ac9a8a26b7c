from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mod_progress.options import OptionError
from mod_progress.stores import open_store
from mod_progress.stores.contract import StoreError, Update
from mod_progress.stores.lmdb.directory import default_name
from mod_progress.stores.lmdb.store import LocalStore
from mod_progress.stores.memory import MemoryStore
from mod_progress.stores.redis.store import RedisStore
from mod_progress.transfer import Snapshot, State
from tests.stores.store_servers import RedisServer, look


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("memory", MemoryStore),
        ("local", LocalStore),
        ("local:my-app.2", LocalStore),
        ("redis://localhost", RedisStore),
        ("rediss://user:word@example.org:6380/2?ssl_cert_reqs=none", RedisStore),
        ("unix:///run/redis.sock?db=3", RedisStore),
    ],
)
def test_a_store_is_named(spec: str, kind: type) -> None:
    assert isinstance(open_store(spec), kind)


@pytest.mark.parametrize(
    ("spec", "takes"),
    [
        ("", "memory, local, local:NAME, a"),
        ("memory:x", "memory, local, local:NAME, a"),
        ("locale", "memory, local, local:NAME, a"),
        ("http://localhost", "memory, local, local:NAME, a"),
        ("local:", "local:NAME, with 1 to 64 of"),
        ("local:../x", "local:NAME, with 1 to 64 of"),
        ("local:" + "x" * 65, "local:NAME, with 1 to 64 of"),
        ("redis://h?colour=red", "a URL that Redis takes"),
        ("redis://h:99999", "a URL that Redis takes"),
        ("redis://h?protocol=9", "a URL that Redis takes"),
        ("redis://h?decode_responses=true", "a URL that Redis takes"),
        ("rediss://h?ssl_cert_reqs=bogus", "a URL that Redis takes"),
        ("redis://[", "a URL that Redis takes"),
    ],
)
def test_what_names_no_store_is_refused(spec: str, takes: str) -> None:
    with pytest.raises(OptionError, match=f"^store: .* is not {takes}"):
        open_store(spec)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pass/word@host:1/0",
        "redis://:password@[::1",
        "redis:password@host",
        "redsi://:password@host",
        "redsi://host?password=password",
        "user:password@host",
        "password@host",
    ],
)
def test_a_url_that_is_refused_is_not_repeated(url: str) -> None:
    with pytest.raises(OptionError) as caught:
        open_store(url)
    assert "pass" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_default_name_is_that_of_directory_and_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = {default_name(), default_name()}
    assert len(names) == 1
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    names.add(default_name())
    monkeypatch.setattr(sys, "prefix", "/another")
    names.add(default_name())
    assert len(names) == 3


def test_a_variable_or_a_file_may_hold_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "url"
    for name, kind in (
        ("redis://:geheim@localhost", RedisStore),
        ("memory", MemoryStore),
        ("local:x", LocalStore),
    ):
        monkeypatch.setenv("STORE", f" {name} ")
        assert isinstance(open_store("env:STORE"), kind)
        secret.write_text(f"{name}\n")
        assert isinstance(open_store(f"file:{secret}"), kind)
        assert isinstance(open_store(f"file://{secret}"), kind)


@pytest.mark.parametrize(
    ("content", "takes"),
    [
        (b"", "one that holds the name of a store: it is empty"),
        (b" \n", "one that holds the name of a store: it is empty"),
        (b"redis://:geheim@host:port", "a URL that Redis takes"),
        (b"redsi://:geheim@host", "memory, local, "),
        (b"geheim", "memory, local, "),
        (b"local:geheim!", "local:NAME, with 1 to 64 of"),
        (b"env:geheim", "memory, local, "),
        (b"\xffgeheim", "a file that holds text"),
    ],
)
def test_what_a_file_holds_is_in_no_message(tmp_path: Path, content: bytes, takes: str) -> None:
    secret = tmp_path / "url"
    secret.write_bytes(content)
    with pytest.raises(OptionError) as caught:
        open_store(f"file:{secret}")
    assert str(caught.value).startswith(f"store: 'file:{secret}' is not {takes}")
    assert "geheim" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("spec", "takes"),
    [
        ("env:MOD_PROGRESS_NOT_SET", "the name of an environment variable that is set"),
        ("env:", "the name of an environment variable that is set"),
        ("file:", "a file that can be read: Is a directory"),
        ("file:/no/such/file", "a file that can be read: No such file or directory"),
        ("file:/dev", "a file that can be read: Is a directory"),
        ("file:/dev/zero", "memory, local, "),
        ("file:\0", "a file that holds text"),
    ],
)
def test_what_holds_no_name_is_refused(spec: str, takes: str) -> None:
    with pytest.raises(OptionError) as caught:
        open_store(spec)
    assert str(caught.value).startswith(f"store: {spec!r} is not {takes}")


def test_a_password_from_a_file_opens_a_real_server(
    own_redis: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.start()
    own_redis.command("CONFIG", "SET", "requirepass", "geheim")
    secret = tmp_path / "url"
    secret.write_text(own_redis.url.replace("://", "://:geheim@"))
    store = open_store(f"file:{secret}")
    store.publish([Update("a", 1, Snapshot(State.RUNNING, 7), 30.0, first=True)])
    assert look(store, "a").received == 7
    own_redis.kill()
    with pytest.raises(StoreError) as caught:
        store.publish([Update("a", 1, Snapshot(State.RUNNING, 8), 30.0, first=False)])
    assert "geheim" not in str(caught.value) + caplog.text + repr(store)
    store.close()


def test_without_a_name_it_is_local() -> None:
    assert isinstance(open_store(), LocalStore)


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_nothing_is_imported_before_a_store_needs_it() -> None:
    code = "import sys, mod_progress.tracker; print({'redis', 'lmdb', 'asyncio'} & {*sys.modules})"
    assert _python(code) == "set()"


def test_the_missing_extra_is_named() -> None:
    code = """
import sys
sys.modules["redis"] = None
from mod_progress.stores import open_store
try:
    open_store("redis://:secret@localhost")
except ValueError as error:
    print(error)
"""
    message = _python(code)
    assert "pip install 'mod-progress[redis]'" in message
    assert "secret" not in message


#: As on Windows, which lacks the module and what the operating system has for forks.
_WITHOUT_FCNTL = """
import logging, os, sys
logging.basicConfig(format="%(message)s", stream=sys.stdout)
sys.modules["fcntl"] = None
del os.fork, os.register_at_fork
from mod_progress.stores import open_store
"""


def test_without_fcntl_the_default_is_memory_and_the_log_says_so() -> None:
    lines = _python(_WITHOUT_FCNTL + "print(type(open_store()).__name__)").splitlines()
    assert lines[1:] == ["MemoryStore"]
    assert lines[0].startswith("store: 'local' is not there on this system (import of fcntl halted")
    assert "each process knows its own transfers alone" in lines[0]


@pytest.mark.parametrize("spec", ["local", "local:name"])
def test_without_fcntl_a_local_store_is_refused_in_words(spec: str) -> None:
    code = f"""
try:
    open_store({spec!r})
except ValueError as error:
    print(type(error).__name__, error)
"""
    message = _python(_WITHOUT_FCNTL + code)
    assert message.startswith(f"OptionError store: {spec!r} is not there on this system (")
    assert message.endswith("take memory or a redis:// URL")


@pytest.mark.parametrize("front", ["asgi", "wsgi"])
def test_without_fcntl_a_middleware_works_in_one_process(front: str) -> None:
    code = f"""
from mod_progress.{front} import ProgressMiddleware
middleware = ProgressMiddleware(lambda *arguments: None)
transfer = middleware._tracker.track("POST", b"X-Progress-ID=a", None, 10)
print(middleware._tracker.look("a").state, type(middleware._tracker.store).__name__)
"""
    assert _python(_WITHOUT_FCNTL + code).splitlines()[1:] == ["running MemoryStore"]
