"""What the page keeps of uploads that are saved: links, the list, pictures."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.web.browsing import Server, choose, make_file, row


def make_picture(path: Path, width: int = 60, height: int = 40) -> Path:
    """Make a PNG that is red."""
    lines = (b"\0" + b"\xff\0\0" * width) * height
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(lines),
        b"IEND": b"",
    }
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts.items()
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def saved_items(page: Page) -> Locator:
    return page.get_by_role("region", name="Saved earlier").get_by_role("listitem")


def test_saved_files_are_links_that_survive_a_reload(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    film, notes = make_file(tmp_path / "a film.mkv", 1000), make_file(tmp_path / "ü&#?.txt", 2000)
    page = open_page(server.url)
    choose(page, film)
    expect(row(page, "a film.mkv").get_by_role("link", name="a film.mkv")).to_be_visible()
    choose(page, notes)
    link = row(page, "ü&#?.txt").get_by_role("link")
    address = link.evaluate("link => link.href")
    assert page.request.get(address).body() == notes.read_bytes()
    expect(saved_items(page)).to_have_count(0)
    page.reload()
    expect(saved_items(page)).to_contain_text(["ü&#?.txt", "a film.mkv"])
    expect(saved_items(page).first).to_contain_text("2 kB")
    assert saved_items(page).first.get_by_role("link").evaluate("a => a.href") == address
    # Another browser does not see them.
    stranger = open_page(server.url, apart=True)
    expect(stranger.get_by_role("heading", name="Upload files")).to_be_visible()
    expect(saved_items(stranger)).to_have_count(0)


def test_what_is_gone_or_removed_is_not_in_the_list(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    names = ("stays", "goes", "is removed")
    page = open_page(server.url)
    for name in names:
        choose(page, make_file(tmp_path / name, 10))
        expect(row(page, name).get_by_role("link")).to_be_visible()
    (server.uploads / "goes").unlink()
    page.reload()
    expect(saved_items(page)).to_have_count(2)
    page.get_by_role("button", name="Remove from this list: is removed").click()
    expect(saved_items(page)).to_have_count(1)
    page.reload()
    expect(saved_items(page)).to_have_count(1)
    expect(saved_items(page)).to_contain_text("stays")
    assert (server.uploads / "is removed").exists()
    page.get_by_role("button", name="Remove from this list: stays").click()
    expect(page.get_by_role("heading", name="Saved earlier")).to_be_hidden()


def test_a_picture_is_shown_small(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    choose(page, make_picture(tmp_path / "red.png"))
    picture = page.locator("#uploads canvas")
    expect(picture).to_have_css("width", "40px")
    middle = "canvas => [...canvas.getContext('2d').getImageData(40, 40, 1, 1).data]"
    assert picture.evaluate(middle) == [255, 0, 0, 255]
    page.reload()
    image = saved_items(page).locator("img")
    expect(image).to_have_js_property("naturalWidth", 60)
    expect(image).to_have_css("width", "40px")


def test_what_is_no_picture_has_none(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    choose(page, make_file(tmp_path / "broken.png", 100))
    expect(row(page, "broken.png")).to_contain_text("Done")
    page.reload()
    expect(saved_items(page)).to_contain_text("broken.png")
    expect(page.locator("li canvas, li img")).to_have_count(0)


#: What other pages of the site may have put where the list is.
NO_LISTS = ["nonsense", "7", '{"a": 1}', "[7, null]", '[{"name": "x"}]']


def test_a_list_that_is_not_ours_is_no_list(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    for kept in NO_LISTS:
        page.evaluate("kept => localStorage.setItem('mod_progress.saved', kept)", kept)
        page.reload()
        choose(page, make_file(tmp_path / "film.mkv", 10))
        expect(row(page, "film.mkv").get_by_role("link")).to_be_visible()
        page.reload()
        expect(saved_items(page)).to_have_count(1)
