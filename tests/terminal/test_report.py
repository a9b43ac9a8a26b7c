from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mod_progress.show.formats import render_json
from mod_progress.terminal.report import ReportError, parse_report, render_report
from mod_progress.transfer import UNKNOWN, Snapshot, State

SIZES = st.integers(0, (1 << 63) - 1)
SNAPSHOTS = st.one_of(
    st.just(UNKNOWN),
    st.integers(0, 599).map(lambda status: Snapshot(State.ERROR, status=status)),
    st.builds(
        Snapshot,
        st.sampled_from([State.RUNNING, State.DONE]),
        SIZES,
        SIZES,
        st.none() | SIZES,
        SIZES,
        st.just(0),
        started=st.just(0),
        ended=st.just(0),
    ),
)


@settings(deadline=None)
@given(SNAPSHOTS)
def test_it_reads_what_a_show_says(snapshot: Snapshot) -> None:
    assert parse_report(render_json(snapshot)) == (None, snapshot)


@settings(deadline=None)
@given(st.text(), SNAPSHOTS)
def test_it_says_what_a_show_says(identifier: str, snapshot: Snapshot) -> None:
    line = render_report(identifier, snapshot)
    assert line.isascii()
    assert line.isprintable()
    assert parse_report(line) == (identifier, snapshot)
    members = json.loads(line)
    assert members.pop("id") == identifier
    assert json.dumps(members) == render_json(snapshot).decode()


RUNNING = '{"state": "running", "received": 1, "sent": 0, "request_size": 2, "response_size": 0}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"state"',
        "{}",
        '{"state": 1}',
        '{"state": []}',
        '{"state": "other"}',
        '{"state": "running"}',
        '{"state": "error"}',
        '{"state": "error", "status": "x"}',
        RUNNING.replace("1", "null"),
        RUNNING.replace("1", '"1"'),
        RUNNING.replace("1", "1.0"),
        RUNNING.replace("1", "true"),
        RUNNING.replace("1", "-1"),
        RUNNING.replace("1", "NaN"),
        RUNNING.replace("2", "[]"),
        RUNNING.replace("2", str(1 << 63)),
        RUNNING.replace("2", "9" * 5000),
        RUNNING[:-1],
        "[" * 100_000,
        b"\xff",
    ],
    ids=lambda text: repr(text)[:40],
)
def test_what_is_no_progress(text: str | bytes) -> None:
    with pytest.raises(ReportError):
        parse_report(text)


def test_an_id_that_is_no_text_is_none() -> None:
    assert parse_report('{"id": 7, "state": "unknown"}') == (None, UNKNOWN)
