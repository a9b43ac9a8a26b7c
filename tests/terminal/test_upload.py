from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from mod_progress.terminal.upload import Outcome, find_reason
from tests.gateway.running import PATIENCE
from tests.terminal.running import serving


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


#: The command as it runs on Windows, which lacks these modules and names.
WITHOUT_UNIX = """
import asyncio, os, signal, sys

def refuse(*_):
    raise NotImplementedError

sys.modules["fcntl"] = sys.modules["termios"] = sys.modules["resource"] = None
del os.O_CLOEXEC, os.fork, os.register_at_fork, signal.SIGPIPE
asyncio.unix_events._UnixSelectorEventLoop.add_signal_handler = refuse
from mod_progress.cli import main
sys.exit(main())
"""


def test_a_file_is_sent_and_watched_without_what_only_unix_has(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(300_000))
    with serving("tracked", tmp_path) as port:
        url = f"http://127.0.0.1:{port}/"
        for words, said in (
            (["send", "--id", "x", "a", url], "a server: done, 300 kB"),
            (["watch", "x", "--at", f"{url}progress"], "x: done, 300 kB"),
            (["send", "-", url], "standard input server: done, 300 kB"),
        ):
            with (tmp_path / "a").open("rb") as file:
                done = subprocess.run(
                    [sys.executable, "-c", WITHOUT_UNIX, *words],
                    stdin=file,
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    timeout=3 * PATIENCE,
                )
            assert (done.returncode, done.stderr) == (0, ""), words
            assert said in done.stdout, words
