from __future__ import annotations

import subprocess
import sys

import pytest

from mod_progress.options import OptionError
from mod_progress.stores import open_store
from mod_progress.stores.lmdb.store import LocalStore, default_name
from mod_progress.stores.memory import MemoryStore
from mod_progress.stores.redis.store import RedisStore


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
        ("", "memory, local, local:NAME or"),
        ("memory:x", "memory, local, local:NAME or"),
        ("locale", "memory, local, local:NAME or"),
        ("http://localhost", "memory, local, local:NAME or"),
        ("local:", "local:NAME, with 1 to 64 of"),
        ("local:../x", "local:NAME, with 1 to 64 of"),
        ("local:" + "x" * 65, "local:NAME, with 1 to 64 of"),
        ("redis://h?colour=red", "a URL that Redis takes"),
        ("redis://h:99999", "a URL that Redis takes"),
    ],
)
def test_what_names_no_store_is_refused(spec: str, takes: str) -> None:
    with pytest.raises(OptionError, match=f"^store: .* is not {takes}"):
        open_store(spec)


@pytest.mark.parametrize("url", ["redis://:pass/word@host:1/0", "redis://:password@[::1"])
def test_a_url_that_is_refused_is_not_repeated(url: str) -> None:
    with pytest.raises(OptionError) as caught:
        open_store(url)
    assert "pass" not in str(caught.value)
    assert caught.value.__suppress_context__


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
