from __future__ import annotations

import httpx
import pytest

from mod_progress.terminal.upload import Outcome, find_reason


@pytest.mark.parametrize(
    ("status", "success"),
    [(0, False), (200, True), (204, True), (302, True), (303, True)]
    + [(status, False) for status in (301, 307, 308, 400, 413, 500)],
)
def test_which_answers_are_a_success(status: int, success: bool) -> None:
    assert Outcome(status, "").success is success


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("text/plain", b"why\nand more", "why"),
        ("Text/Plain; charset=utf-8", b"\n  why  \n", "why"),
        ("text/plain", b"", ""),
        ("text/plain", b"x" * 300, "x" * 200 + "..."),
        ("text/plain", b"\xff", "\ufffd"),
        ("text/html", b"<h1>why</h1>", ""),
        ("", b"why", ""),
        ("application/json", b'{"error": "why"}', "why"),
        ("application/json", b'{"detail": "why"}', "why"),
        ("application/json", b'{"detail": ["why"]}', ""),
        ("application/json", b'["why"]', ""),
        ("application/json", b'"why"', ""),
        ("application/json", b"why", ""),
        ("application/json", b"[" * 100_000, ""),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_the_reason_of_a_refusal(kind: str, body: bytes, reason: str) -> None:
    assert find_reason(httpx.Response(400, headers={"Content-Type": kind}), body) == reason
