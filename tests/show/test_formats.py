import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mod_progress.show.formats import COMMON_FIELDS, FORMATS
from mod_progress.transfer import UNKNOWN, Snapshot, State

RUNNING = Snapshot(State.RUNNING, 123456, 0, 200000, 0)
MEMBERS = '"received": 123456, "sent": 0, "request_size": 200000, "response_size": 0'

# What the contract's table says, to the letter.
BODIES = [
    (RUNNING, f'{{"state": "running", {MEMBERS}}}'),
    (RUNNING._replace(state=State.DONE, status=200), f'{{"state": "done", {MEMBERS}}}'),
    (RUNNING._replace(state=State.ERROR, status=500), '{"state": "error", "status": 500}'),
    (RUNNING._replace(state=State.ERROR), '{"state": "error", "status": 0}'),
    (UNKNOWN, '{"state": "unknown"}'),
    (
        Snapshot(State.RUNNING, 5, 3, None, 9),
        '{"state": "running", "received": 5, "sent": 3, "request_size": null, "response_size": 9}',
    ),
]


@pytest.mark.parametrize(("snapshot", "body"), BODIES)
@pytest.mark.parametrize(
    ("name", "content_type", "frame"),
    [
        ("json", "application/json", "{}"),
        ("jsonp", "application/javascript", "progress({})"),
        ("legacy", "application/javascript", "new Object({})"),
    ],
)
def test_each_format_of_each_state(
    snapshot: Snapshot, body: str, name: str, content_type: str, frame: str
) -> None:
    form = FORMATS[name]
    assert form.render(snapshot, None) == frame.replace("{}", body).encode()
    assert form.content_type == content_type


@pytest.mark.parametrize(
    ("callback", "called"),
    [
        (b"my.function_1", b"my.function_1"),
        (b"a" * 200, b"a" * 200),
        (b"", b"progress"),
        (b"alert(1)", b"progress"),
        (b"a;b", b"progress"),
        (b"a b", b"progress"),
        (b"a\n", b"progress"),
        ("ü".encode(), b"progress"),
        (b"$", b"progress"),
    ],
)
def test_only_a_safe_function_is_called(callback: bytes, called: bytes) -> None:
    assert FORMATS["jsonp"].render(UNKNOWN, callback) == called + b'({"state": "unknown"})'


@pytest.mark.parametrize("name", ["json", "legacy"])
def test_the_other_formats_take_no_callback(name: str) -> None:
    form = FORMATS[name]
    assert form.render(UNKNOWN, b"other") == form.render(UNKNOWN, None)


def test_no_answer_is_cached_or_guessed() -> None:
    assert COMMON_FIELDS == (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


COUNTS = st.integers(0, 2**63)


@given(COUNTS, COUNTS, st.none() | COUNTS, COUNTS)
def test_json_is_json(received: int, sent: int, request: int | None, response: int) -> None:
    snapshot = Snapshot(State.RUNNING, received, sent, request, response)
    assert json.loads(FORMATS["json"].render(snapshot, None)) == {
        "state": "running",
        "received": received,
        "sent": sent,
        "request_size": request,
        "response_size": response,
    }
