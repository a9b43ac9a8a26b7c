from __future__ import annotations

from collections.abc import Iterator

import pytest

from mod_progress.cli import main
from tests.cli.running import assert_one_line, run
from tests.doctor.running import app, odd_server


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with app("well", tmp_path_factory.mktemp("app")) as port:
        yield port


def examine(port: int, path: str, *words: str) -> int:
    return main(["doctor", f"http://127.0.0.1:{port}{path}", "--seconds", "0.5", *words])


def test_all_is_well(port: int) -> None:
    done = run("doctor", f"http://127.0.0.1:{port}/upload", "--seconds", "0.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "All is well: the upload is tracked, and every answer was right.\n"


def test_a_fault_is_told_with_its_cure(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert examine(port, "/upload", "--show", "/elsewhere") == 1
    fault, cure = capsys.readouterr().out.splitlines()
    assert fault == (
        "not shown: Nothing shows progress at /elsewhere: the answer is 200 OK, no progress."
    )
    assert cure.startswith("    Add ProgressMiddleware to the app, ")


def test_what_is_no_fault_is_told_too(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert examine(port, "/form") == 0
    fault, _, well = capsys.readouterr().out.splitlines()
    assert fault == "redirected: The app answered the upload with 303 See Other, to /thanks."
    assert well.startswith("All is well: ")


def test_a_session_opens_what_needs_a_login(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert examine(port, "/members/upload") == 1
    assert capsys.readouterr().out.startswith("login needed: ")
    assert examine(port, "/members/upload", "--header", "Cookie: session=1") == 0


def test_what_the_app_says_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with odd_server(b'{"state": "done"}', 403, "\x1b]0;title\x07\x9b31mNo") as port:
        assert examine(port, "/") == 1
    said = capsys.readouterr().out
    assert r"403 \x1b]0;title\x07\x9b31mNo." in said
    assert all(each.isprintable() or each == "\n" for each in said)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nonsense"], 2, "nonsense: an address such as http://localhost:8000/upload is needed"),
        (["http://a..b/"], 2, "http://a..b/: an address such as"),
        (["http://a/", "--show", "x"], 2, "--show x: a path starts with /"),
        (["http://a/", "--seconds", "0.4"], 2, "'0.4' is not a number of seconds, 0.5 or more"),
        (["http://a/", "--header", "a"], 2, "'a' is not a header field, NAME: VALUE"),
        (["http://a/", "--header", ": a"], 2, "': a' is not a header field"),
        (["http://a/", "--header", "a: b\r\nc: d"], 2, "is not a header field"),
        (["http://a/", "--header", "a: ü"], 2, "'a: ü' is not a header field"),
        # The discard port, where nobody listens.
        (["http://127.0.0.1:9/"], 1, "http://127.0.0.1:9/: Connection refused"),
    ],
)
def test_what_is_wrong_is_one_clear_line(words: list[str], code: int, said: str) -> None:
    assert_one_line(run("doctor", *words), code, said)
