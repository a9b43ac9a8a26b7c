"""How `pathinfo` splits a path, and what `index` and the conditions make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mod_progress.gateway.actions.conditions import PHYSICAL
from mod_progress.gateway.files.path_info import PathInfo
from mod_progress.gateway.files.static import Docroot, Index
from tests.config.config_client import Client


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pathinfo")
    (root / "index.php").touch()
    (root / "app" / "deep").mkdir(parents=True)
    (root / "app" / "index.php").touch()
    (root / "app" / "file.php").touch()
    (root / "bare").mkdir()
    return root


@pytest.mark.parametrize(
    ("path", "file", "rest"),
    [
        ("/", "/", ""),
        ("/index.php", "/index.php", ""),
        ("/index.php/", "/index.php", "/"),
        ("/index.php/some/site", "/index.php", "/some/site"),
        ("/some/site", "/", "/some/site"),
        ("/some", "/", "/some"),
        ("/app", "/app", ""),
        ("/app/", "/app/", ""),
        ("/app/file.php/a.php/b", "/app/file.php", "/a.php/b"),
        ("/app/x/y", "/app/", "/x/y"),
        ("/app/deep/x", "/app/deep/", "/x"),
        ("/app/file.phpx", "/app/", "/file.phpx"),
        ("/" + "a" * 300 + "/b", "/", "/" + "a" * 300 + "/b"),
    ],
)
@pytest.mark.parametrize("end", ["", "/"], ids=["docroot", "docroot/"])
def test_how_a_path_is_split(root: Path, path: str, file: str, rest: str, end: str) -> None:
    exchange = Client().exchange(f"GET {path} HTTP/1.1")
    Docroot(str(root) + end)(exchange)
    PathInfo()(exchange)
    assert (exchange.physical_path, exchange.path_info) == (f"{root}{file}", rest)


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/some/site", "/index.php"),
        ("/app/x/y", "/app/index.php"),
        ("/bare/x", "/bare/"),
        ("/app/file.php/x", "/app/file.php"),
    ],
)
def test_index_takes_the_directory_that_is_left(root: Path, path: str, file: str) -> None:
    exchange = Client().exchange(f"GET {path} HTTP/1.1")
    for action in (Docroot(str(root)), PathInfo(), Index(("index.php",))):
        action(exchange)
    assert exchange.physical_path == f"{root}{file}"


def test_another_docroot_begins_anew(root: Path) -> None:
    exchange = Client().exchange("GET /app/x HTTP/1.1")
    for action in (Docroot(str(root)), PathInfo(), Docroot(str(root / "bare"))):
        action(exchange)
    assert (exchange.physical_path, exchange.path_info) == (f"{root}/bare/app/x", "")


def test_without_a_docroot_nothing_is_split() -> None:
    exchange = Client().exchange("GET /a/b HTTP/1.1")
    PathInfo()(exchange)
    assert (exchange.physical_path, exchange.path_info) == (None, "")
    assert {name: variable.read(exchange) for name, variable in PHYSICAL.items()} == {
        "path": "",
        "docroot": "",
        "pathinfo": "",
        "exists": False,
        "is_file": False,
        "is_dir": False,
    }


@pytest.mark.parametrize(
    ("path", "exists", "is_file", "is_dir"),
    [
        ("/app/file.php/x", True, True, False),
        ("/app/x", True, False, True),
    ],
)
def test_what_the_conditions_see(
    root: Path, path: str, exists: bool, is_file: bool, is_dir: bool
) -> None:
    exchange = Client().exchange(f"GET {path} HTTP/1.1")
    Docroot(str(root))(exchange)
    PathInfo()(exchange)
    seen = {name: variable.read(exchange) for name, variable in PHYSICAL.items()}
    assert seen == {
        "path": exchange.physical_path,
        "docroot": str(root),
        "pathinfo": "/x",
        "exists": exists,
        "is_file": is_file,
        "is_dir": is_dir,
    }
