from __future__ import annotations

from pathlib import Path

import pytest

from mod_progress.gateway.files.media_types import MEDIA_TYPES
from mod_progress.gateway.files.upload_directories import (
    UploadDirectories,
    confined_type,
    is_active,
)


@pytest.fixture
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UploadDirectories:
    monkeypatch.chdir(tmp_path)
    directories = UploadDirectories()
    directories.add(str(tmp_path / "uploads"))
    directories.add("relative")
    return directories


def test_what_is_below_an_upload_directory_is_known(
    directories: UploadDirectories, tmp_path: Path
) -> None:
    for name in ("uploads/deep", "relative", "uploads-not", "www"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "www" / "link").symlink_to(tmp_path / "uploads")
    (tmp_path / "www" / "a.html").symlink_to(tmp_path / "uploads" / "a.html")
    held = {
        "uploads/a.html": True,
        "uploads/deep/a.html": True,
        "relative/a.html": True,
        "www/link/a.html": True,
        "www/a.html": True,
        "www/../uploads/a.html": True,
        "www/b.html": False,
        "uploads-not/a.html": False,
        "a.html": False,
    }
    assert {path: directories.hold(str(tmp_path / path)) for path in held} == held


def test_a_directory_may_come_later(directories: UploadDirectories, tmp_path: Path) -> None:
    path = tmp_path / "uploads" / "a.html"
    assert not directories.hold(str(path))
    path.parent.mkdir()
    assert directories.hold(str(path))


def test_where_nothing_is_uploaded_nothing_is_looked_up() -> None:
    assert not UploadDirectories().hold("/")


def test_active_is_what_a_browser_runs_and_no_more() -> None:
    active = {extension for extension, kind in MEDIA_TYPES.items() if is_active(kind)}
    assert {".html", ".svg", ".xml", ".xhtml", ".js", ".mjs", ".css", ".wasm"} <= active
    assert not active & {".txt", ".png", ".jpg", ".mp4", ".pdf", ".zip", ".json", ".woff2", ".md"}


@pytest.mark.parametrize(
    ("kind", "confined"),
    [
        ("text/javascript", "application/octet-stream"),
        ("text/css", "application/octet-stream"),
        ("image/svg+xml", "image/svg+xml"),
        ("text/html", "text/html"),
    ],
)
def test_no_page_loads_a_script_from_an_upload(kind: str, confined: str) -> None:
    assert confined_type(kind) == confined
