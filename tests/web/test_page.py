"""The page that the gateway serves without a configuration, in a real browser."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Dialog, Page, expect

from mod_progress.identifier import shared_form
from tests.web.browsing import ELSEWHERE, Server, choose, make_file, row, said, throttled


def test_a_bar_tells_what_the_server_has(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    size = 30_000_000
    film = make_file(tmp_path / "a film.mkv", size)
    page = open_page(server.url)
    with throttled(page, 20_000_000):
        with page.expect_request(re.compile("/upload/")) as sent:
            choose(page, film)
        identifier = parse_qs(urlsplit(sent.value.url).query)["X-Progress-ID"][0]
        bar = page.get_by_role("progressbar", name="a film.mkv")
        values = [0.0]
        while values[-1] < 1:
            values.append(bar.evaluate("bar => bar.value"))
            assert values[-1] * size <= server.ask(identifier)["received"]
        assert values == sorted(values)
        assert len(set(values)) > 2
        expect(row(page, "a film.mkv")).to_contain_text("Done")
        expect(row(page, "a film.mkv")).to_contain_text("30.0 MB saved as a film.mkv in")
        assert (server.uploads / "a film.mkv").read_bytes() == film.read_bytes()
        assert server.ask(identifier)["state"] == "done"


def test_amounts_rate_and_time_left_are_told(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    with throttled(page, 1_000_000):
        choose(page, make_file(tmp_path / "film.mkv", 80_000_000))
        amounts = re.compile(r"^\d\.\d MB of 80\.0 MB · .*B/s · 1 min \d+ sec left$")
        expect(row(page, "film.mkv").get_by_text(amounts)).to_be_visible()
        expect(page.get_by_role("progressbar")).to_have_attribute(
            "aria-valuetext", re.compile(r"^\d+%, .* of 80.0 MB")
        )
        page.get_by_role("button", name="Cancel: film.mkv").click()
        expect(row(page, "film.mkv")).to_contain_text("Cancelled")


def test_cancel_ends_an_upload_at_the_server_too(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    with throttled(page, 1_000_000):
        choose(page, make_file(tmp_path / "film.mkv", 80_000_000))
        # The server has some of it.
        expect(row(page, "film.mkv")).to_contain_text(re.compile("[1-9]%"))
        with page.expect_response(lambda answer: answer.request.method == "DELETE") as ended:
            page.get_by_role("button", name="Cancel: film.mkv").click()
        assert ended.value.status in (202, 204)
        expect(row(page, "film.mkv")).to_contain_text("Cancelled")
    assert "X-Progress-ID=own~" in ended.value.url
    assert not (server.uploads / "film.mkv").exists()


def test_a_server_where_nobody_may_cancel_is_asked_once(
    open_page: Callable[..., Page], backed_server: Server, tmp_path: Path
) -> None:
    page = open_page(backed_server.url)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    with throttled(page, 1_000_000):
        with page.expect_response(lambda answer: answer.request.method == "DELETE") as refused:
            cancel_upload(page, make_file(tmp_path / "one", 80_000_000))
        assert refused.value.status == 405
        cancel_upload(page, make_file(tmp_path / "two", 80_000_000))
    # Events come in the order of the requests: none is missing once this one is there.
    with page.expect_request("**/icon.svg"):
        page.evaluate("fetch('icon.svg')")
    assert sent.count("DELETE") == 1


def cancel_upload(page: Page, file: Path) -> None:
    """Send a file, and cancel it when the server has some of it."""
    choose(page, file)
    expect(row(page, file.name)).to_contain_text(re.compile("[1-9]%"))
    page.get_by_role("button", name=f"Cancel: {file.name}").click()
    expect(row(page, file.name)).to_contain_text("Cancelled")


def test_several_files_take_turns(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    names = ["one", "two", "three", "empty", "ünï çödé & 100%?#.txt"]
    sizes = [5_000_000, 5_000_000, 5_000_000, 0, 1]
    chosen = [make_file(tmp_path / name, size) for name, size in zip(names, sizes, strict=True)]
    page = open_page(server.url)
    with throttled(page, 500_000):
        choose(page, *chosen)
        expect(page.get_by_role("listitem")).to_have_count(len(names))
        expect(said(page, "Waiting")).to_have_count(3)
    expect(said(page, "Done")).to_have_count(len(names))
    for path in chosen:
        assert (server.uploads / path.name).read_bytes() == path.read_bytes()


def test_files_are_dropped_anywhere(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(server.url)
    dropped = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            for (const name of ["a", "b"]) transfer.items.add(new File([name], name));
            return transfer;
        }"""
    )
    page.locator("footer").dispatch_event("drop", {"dataTransfer": dropped})
    expect(said(page, "Done")).to_have_count(2)
    assert {path.name: path.read_text() for path in server.uploads.iterdir()} == {
        "a": "a",
        "b": "b",
    }


def test_all_is_done_by_keyboard(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    film = make_file(tmp_path / "film.mkv", 30_000_000)
    page = open_page(server.url)
    # Long before the key: else it may open a chooser before the browser knows that it is ours.
    page.on("filechooser", lambda _: None)
    with throttled(page, 1_000_000):
        page.keyboard.press("Tab")
        expect(page.get_by_label("Choose files")).to_be_focused()
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Space")
        chooser.value.set_files(film)
        expect(row(page, "film.mkv")).to_contain_text("%")
        page.keyboard.press("Tab")
        expect(page.get_by_label("Choose a folder")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Copy link: film.mkv")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Cancel: film.mkv")).to_be_focused()
        page.keyboard.press("Enter")
        expect(row(page, "film.mkv")).to_contain_text("Cancelled")
        expect(row(page, "film.mkv")).to_be_focused()
        assert not (server.uploads / "film.mkv").exists()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Try again: film.mkv")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row(page, "film.mkv")).to_contain_text("Done")
    assert (server.uploads / "film.mkv").read_bytes() == film.read_bytes()


def test_one_that_waits_can_be_cancelled(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    with throttled(page, 500_000):
        choose(page, *(make_file(tmp_path / name, 10_000_000) for name in ("one", "two", "three")))
        page.get_by_role("button", name="Cancel: three").click()
        expect(row(page, "three")).to_contain_text("Cancelled")
    expect(said(page, "Done")).to_have_count(2)
    assert not (server.uploads / "three").exists()


def test_a_file_too_large_is_refused_in_words(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    with (tmp_path / "everything").open("wb") as sparse:
        sparse.truncate(17 * 1024**3)
    page = open_page(server.url)
    choose(page, tmp_path / "everything")
    expect(row(page, "everything")).to_contain_text(
        "Refused: the file is too large for the server (413)."
    )


def test_processing_and_what_the_backend_says(
    open_page: Callable[..., Page],
    backed_server: Server,
    release: threading.Event,
    tmp_path: Path,
) -> None:
    page = open_page(backed_server.url)
    choose(page, make_file(tmp_path / "fits", 100_000), make_file(tmp_path / "too-much", 100_000))
    for name in ("fits", "too-much"):
        expect(row(page, name)).to_contain_text("Processing")
    release.set()
    expect(row(page, "fits")).to_contain_text("Done")
    expect(row(page, "fits")).to_contain_text("saved as kept")
    expect(row(page, "too-much")).to_contain_text("Refused: the server's disk is full (507).")


def test_a_file_that_is_gone_is_told(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    with throttled(page, 500_000):
        choose(page, *(make_file(tmp_path / name, 10_000_000) for name in ("one", "two", "gone")))
        (tmp_path / "gone").unlink()
    expect(row(page, "gone")).to_contain_text("It cannot be read")


def test_anybody_with_the_link_sees_the_bar(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url, permissions=["clipboard-read", "clipboard-write"])
    with throttled(page, 500_000):
        choose(page, make_file(tmp_path / "a film.mkv", 10_000_000))
        page.get_by_role("button", name="Copy link: a film.mkv").click()
        expect(page.get_by_role("log")).to_contain_text("Link copied.")
        expect(page.locator("button[data-marked]")).to_have_text("Copy link")
        friend = open_page(page.evaluate("navigator.clipboard.readText()"))
        shared = friend.get_by_role("region", name="Shared with you").get_by_role("listitem")
        expect(shared).to_contain_text("a film.mkv")
        expect(shared).to_contain_text(re.compile("MB of 10.0 MB"))
        expect(shared.get_by_role("button")).to_have_count(0)
    expect(shared).to_contain_text("Done")


def test_a_link_to_nothing_waits(open_page: Callable[..., Page], server: Server) -> None:
    page = open_page(server.url + "#id=nobody-knows")
    expect(row(page, "nobody-knows")).to_contain_text("Waiting")
    page.evaluate("fetch('upload/later?X-Progress-ID=nobody-knows', {method: 'PUT', body: 'x'})")
    expect(row(page, "nobody-knows")).to_contain_text("Done")


def test_it_works_where_the_browser_trusts_nobody(
    open_page: Callable[..., Page], named_server: Server, tmp_path: Path
) -> None:
    page = open_page(named_server.url.replace("127.0.0.1", ELSEWHERE))
    assert page.evaluate("!isSecureContext && !crypto.subtle && !navigator.clipboard")
    links: list[str] = []

    def note_link(dialog: Dialog) -> None:
        links.append(dialog.default_value)
        dialog.accept()

    page.on("dialog", note_link)
    with throttled(page, 500_000):
        with page.expect_request(re.compile("/upload/")) as sent:
            choose(page, make_file(tmp_path / "film.mkv", 10_000_000))
        with page.expect_event("dialog"):
            page.get_by_role("button", name="Copy link").click()
    own = parse_qs(urlsplit(sent.value.url).query)["X-Progress-ID"][0]
    (link,) = links
    shared = parse_qs(urlsplit(link).fragment)
    assert link.startswith(page.url)
    assert shared == {"id": [shared_form(own)], "name": ["film.mkv"]}
    expect(row(page, "film.mkv")).to_contain_text("Done")


def test_a_plain_form_does_without_javascript(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url, java_script_enabled=False)
    choose(page, make_file(tmp_path / "one", 1000), make_file(tmp_path / "two", 2000))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="Saved")).to_be_visible()
    assert {path.name: path.stat().st_size for path in server.uploads.iterdir()} == {
        "one": 1000,
        "two": 2000,
    }
