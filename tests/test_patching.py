from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from mod_progress.patching import warn_of_late_patching


@pytest.fixture(autouse=True)
def _not_said_yet() -> Iterator[None]:
    warn_of_late_patching.cache_clear()
    yield
    warn_of_late_patching.cache_clear()


def test_a_process_that_was_not_patched_is_not_warned(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_late_patching()
    assert not caplog.records


def test_a_sleep_that_was_replaced_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    for _ in range(2):
        warn_of_late_patching()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "patch first" in caplog.text


@pytest.mark.usefixtures("broken_log")
def test_a_broken_log_handler_breaks_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    warn_of_late_patching()
