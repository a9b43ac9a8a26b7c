from __future__ import annotations

import time
from pathlib import Path

import pytest

from mod_progress.stores.cancelling import KEPT, ToCancel
from mod_progress.stores.lmdb import requests
from mod_progress.stores.lmdb.store import LocalStore

MINE, FOREIGN = 7, 8


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return LocalStore("requests")


def test_each_owner_has_its_own_and_what_is_old_goes(store: LocalStore) -> None:
    def token(start: int, owner: int) -> bytes:
        return start.to_bytes(8) + owner.to_bytes(8)

    now = time.monotonic_ns()
    with store._open().writing(1.0) as transaction:
        assert requests.requests_to(MINE, transaction) == []
        for other in (b"p", b"r"):  # the keys of others come before and behind
            transaction.put(other, b"")
        requests.add(transaction, "a", token(1, MINE), now)
        requests.add(transaction, "b", token(2, FOREIGN), now)
        requests.add(transaction, "c", token(3, MINE), now)
        requests.add(transaction, "c", token(4, MINE), now)
        assert requests.requests_to(MINE, transaction) == [ToCancel("a", 1), ToCancel("c", 4)]
        requests.remove(transaction, ToCancel("a", 1))
        assert requests.requests_to(MINE, transaction) == [ToCancel("c", 4)]
        requests.add(transaction, "d", token(5, MINE), now + round(KEPT * 1e9))
        assert requests.requests_to(FOREIGN, transaction) == []
        assert requests.requests_to(MINE, transaction) == [ToCancel("d", 5)]
