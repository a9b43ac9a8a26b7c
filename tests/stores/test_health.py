from __future__ import annotations

import pytest

from mod_progress.stores.health import Health


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        (["+publish", "+lookup"], []),
        (["-publish", "-publish", "-lookup"], ["went"]),
        (["-publish", "+lookup", "-publish"], ["went"]),
        (["-publish", "-lookup", "+publish"], ["went"]),
        (["-publish", "-lookup", "+publish", "+lookup"], ["went", "back"]),
        (["-publish", "+publish", "+publish", "-lookup"], ["went", "back", "went"]),
    ],
)
def test_a_store_goes_once_and_is_back_once(
    events: list[str], lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    health = Health("redis://example")
    for event in events:
        if event[0] == "+":
            health.worked(event[1:])
        else:
            health.failed(event[1:], "no answer")
    went = "store redis://example: no answer; each process answers from its own table until it is"
    assert [
        "back" if record.getMessage() == "store redis://example: it is back" else "went"
        for record in caplog.records
        if record.getMessage().startswith((went, "store redis://example: it is back"))
    ] == lines
    assert len(caplog.records) == len(lines)


@pytest.mark.usefixtures("broken_log")
def test_a_broken_log_handler_breaks_no_lookup() -> None:
    health = Health("redis://example")
    health.failed("lookup", "no answer")
    health.worked("lookup")
