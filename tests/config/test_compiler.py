"""Scopes, includes, and what becomes of statements."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mod_progress import __version__
from mod_progress.config import check, compiler, load
from mod_progress.config.compiler import DEEPEST_INCLUDE, MOST_ERRORS, MOST_TEXT
from mod_progress.config.parser import DEEPEST
from mod_progress.gateway.actions.answers import Respond
from mod_progress.gateway.actions.flow import ActionList, If
from mod_progress.gateway.files.static import Docroot, Static
from mod_progress.gateway.server.site import Site
from tests.config.config_client import Client

GOOD = Path(__file__).parent / "good"
UPLOAD = "POST /upload.php?X-Progress-ID=abc HTTP/1.1\nContent-Length: 5"

Load = Callable[[str], Site]


def texts(site: Site) -> list[str]:
    """Return the texts of all `respond` that stand in a row."""
    assert isinstance(site.action, ActionList)
    return [action.body.decode() for action in site.action.actions if isinstance(action, Respond)]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ('a = "1"; respond a; a = "2"; respond a;', ["1", "2"]),
        # A branch of a condition has no scope of its own, and is read whether it holds or not.
        ('a = "1"; if req.path == "/x" { a = "2"; b = "3"; } respond a; respond b;', ["2", "3"]),
        # A block has one.
        ('a = "1"; x = { local a = "2"; respond a; }; x; respond a;', ["2", "1"]),
        ('a = "1"; x = { a = "2"; }; respond a; x;', ["2"]),
        ('x = { global a = "2"; b = "3"; }; b = "1"; x; respond a; respond b;', ["2", "1"]),
        ('global a = "1"; respond a; local a = "2"; respond a;', ["1", "2"]),
        ('x = { y = { respond "inner"; }; y; y; }; x;', ["inner", "inner"]),
        # What a block holds is what it was when the block was read.
        ('a = "1"; x = { respond a; }; a = "2"; x;', ["1"]),
        # Setups run when they are read, wherever they stand, and may have variables.
        ('setup { a = "1"; } respond a;', ["1"]),
        ('x = { setup { global a = "1"; } }; respond a;', ["1"]),
        ("respond sys.version; respond cast(string) sys.pid;", [__version__, str(os.getpid())]),
        ("respond sys.env.HOME + sys.cwd;", [os.environ["HOME"] + str(Path.cwd())]),
    ],
)
def test_variables(load_text: Load, text: str, seen: list[str]) -> None:
    assert texts(load_text(text)) == seen


def test_a_block_may_be_a_value_anywhere(load_text: Load) -> None:
    site = load_text('blocks = [{ respond "1"; }, { static; }] + [{ x = 1; }];')
    assert site.action == Static()


def test_the_empty_configuration_serves_files(load_text: Load) -> None:
    assert load_text("").action == Static()


def test_statements_run_in_order_and_blocks_in_place(load_text: Load) -> None:
    site = load_text('docroot "/a"; x = { respond 201; respond 202; }; x; if req.query { x; }')
    assert isinstance(site.action, ActionList)
    docroot, first, second, condition, static = site.action.actions
    assert docroot == Docroot("/a")
    assert (first, second) == (Respond(201), Respond(202))
    assert isinstance(condition, If)
    assert condition.then == ActionList((Respond(201), Respond(202)))
    assert static == Static()


CHAIN = """
if req.path == "/a" { respond "a"; }
else if req.path =^ "/b" { if req.query { respond "b?"; } else { respond "b"; } }
else if req.path == "/c" { }
else { respond "else"; }
respond "after";
"""


@pytest.mark.parametrize(
    ("target", "text"),
    [("/a", "a"), ("/b", "b"), ("/bb?x", "b?"), ("/c", "after"), ("/d", "else")],
)
def test_the_first_branch_that_holds_is_taken(load_text: Load, target: str, text: str) -> None:
    answer = Client().ask(load_text(CHAIN).action, f"GET {target} HTTP/1.1")
    assert answer is not None
    assert answer.body == text


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name}.conf").write_text(text)
    return directory / "main.conf"


def test_an_included_file_sees_and_changes_what_is_around_it(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main='a = "1"; include "sub.conf"; respond a; respond c; b = "";',
        sub='respond a; a = "2"; b = "3"; respond b; global c = "4";',
    )
    assert texts(load(main)) == ["1", "3", "2", "4"]


def test_what_an_included_file_defines_is_its_own(tmp_path: Path) -> None:
    main = write(tmp_path, main='include "sub.conf"; respond b;', sub='b = "1";')
    (error,) = check(main)
    assert error.message == "undefined variable 'b'"


def test_an_include_is_looked_for_beside_the_file_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "main.conf").write_text('include "b/sub.conf";')
    (tmp_path / "a" / "b" / "sub.conf").write_text('include "subsub.conf";')
    (tmp_path / "a" / "b" / "subsub.conf").write_text('respond "here";')
    monkeypatch.chdir("/")
    assert texts(load(tmp_path / "a" / "main.conf")) == ["here"]


def test_wildcards_include_in_order_of_names(tmp_path: Path) -> None:
    names = ("b", "a", "ab", "[a]", "c")
    for name in names:
        (tmp_path / f"sub{name}.txt").write_text(f'respond "{name}";')
    for pattern, seen in [
        ("sub*.txt", ["[a]", "a", "ab", "b", "c"]),
        ("sub?.txt", ["a", "b", "c"]),
        ("sub[a].txt", ["[a]"]),
        ("sub[a]*.txt", ["[a]"]),
        ("none*.txt", []),
    ]:
        main = write(tmp_path, main=f'respond "first"; include "{pattern}";')
        assert texts(load(main)) == ["first", *seen]


def test_files_that_include_each_other_endlessly_deep_are_an_error(tmp_path: Path) -> None:
    for number in range(500):
        (tmp_path / f"{number}.conf").write_text(f'include "{number + 1}.conf";')
    (error,) = check(tmp_path / "0.conf")
    last = tmp_path / f"{DEEPEST_INCLUDE - 1}.conf"
    message = f"{last}:1:9: more than {DEEPEST_INCLUDE} files are within each other here"
    assert str(error).splitlines()[0] == message


def test_blocks_are_counted_in_all_files_that_are_within_each_other(tmp_path: Path) -> None:
    around = "if req.path { " * (DEEPEST // 2), "} " * (DEEPEST // 2)
    for number in range(3):
        text = f'{around[0]}include "{number + 1}.conf"; {around[1]}'
        (tmp_path / f"{number}.conf").write_text(text)
    (tmp_path / "3.conf").write_text("static;")
    (error,) = check(tmp_path / "0.conf")
    assert error.message == f"more than {DEEPEST} blocks are within each other here"
    assert error.place is not None
    assert error.place.source.path == f"{tmp_path}/1.conf"


def test_files_that_include_two_others_each_are_an_error_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "MOST_FILES", 100)
    for number in range(DEEPEST_INCLUDE - 1):
        text = f'include "{number + 1}.conf"; include "{number + 1}.conf";'
        (tmp_path / f"{number}.conf").write_text(text)
    (tmp_path / f"{DEEPEST_INCLUDE - 1}.conf").write_text("")
    errors = check(tmp_path / "0.conf")
    assert "more than 100 files" in errors[0].message


def test_all_files_together_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "large.conf").write_text("#" * (MOST_TEXT // 4))
    main = write(tmp_path, main='include "large.conf";\n' * 4)
    (error,) = check(main)
    assert str(error).startswith(f"{main}:4:9: more than ")
    assert f"{MOST_TEXT} characters" in error.message


def test_after_many_errors_no_more_are_looked_for(tmp_path: Path) -> None:
    main = write(tmp_path, main='include "sub.conf";' * 3 + "oops;", sub="oops;\n" * 1000)
    assert len(check(main)) == MOST_ERRORS + 1


def test_a_link_to_a_file_around_is_a_cycle(tmp_path: Path) -> None:
    main = write(tmp_path, main='include "sub.conf";')
    (tmp_path / "sub.conf").symlink_to("main.conf")
    (error,) = check(main)
    assert error.message.startswith("a file includes itself: ")


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = write(tmp_path, main='include "sub.conf"; respond sys.cwd;', sub="respond 201;")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    (error,) = check(main)
    assert str(error).startswith(f"{main}:1:29: there is no working directory: ")


def test_errors_of_a_file_that_is_included_twice_are_told_once(tmp_path: Path) -> None:
    main = write(tmp_path, main='include "sub.conf"; include "sub.conf"; oops;', sub="oopsie;")
    assert [Path(str(error.place).rpartition(":")[0]).name for error in check(main)] == [
        "main.conf:1",
        "sub.conf:1",
    ]


def test_the_snippet_of_lighttpd_2_that_sets_methods() -> None:
    assert load(GOOD / "methods.conf").options.methods == {"PUT", "POST"}


def test_the_snippet_of_lighttpd_2_that_tracks_and_shows() -> None:
    site = load(GOOD / "track_and_show.conf")
    client = Client()
    site.action(client.exchange(UPLOAD))
    answer = client.ask(site.action, "GET /progress?X-Progress-ID=abc HTTP/1.1")
    assert answer is not None
    assert answer.body == (
        '{"state": "running", "received": 0, "sent": 0, "request_size": 5, "response_size": 0}'
    )
