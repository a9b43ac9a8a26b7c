"""Many uploads of the page: their total, their turns, and what becomes of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.web.browsing import Server, choose, hurry, make_file, row, said, serving, throttled

SIZE = 10_000_000
RATE = 1_000_000


def make_files(folder: Path, *names: str, size: int = SIZE) -> list[Path]:
    return [make_file(folder / name, size) for name in names]


def cancel_all(page: Page) -> None:
    """Leave nothing that the server could still save."""
    page.get_by_role("button", name="Cancel all").click()
    expect(page.locator("#totals")).to_be_hidden()


def test_the_total_is_told_and_stands_in_the_title(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    totals = page.locator("#totals")
    with throttled(page, RATE):
        choose(page, make_file(tmp_path / "empty", 0), *make_files(tmp_path, "one", "two"))
        expect(totals.locator("[part=label]")).to_have_text("1 of 3 files saved")
        expect(totals.locator("[part=detail]")).to_have_text(
            re.compile(r"^[\d.]+ [kM]B of 20\.0 MB · .*B/s · \d+ sec left$")
        )
        expect(page).to_have_title(re.compile(r"^\d+% · 1 of 3 · Upload · mod_progress$"))
    expect(totals.locator("[part=label]")).to_have_text("3 of 3 files saved")
    expect(totals.locator("[part=status]")).to_have_text("Done")
    expect(totals.get_by_role("button")).to_be_hidden()
    expect(page).to_have_title("Upload · mod_progress")
    # What comes later is counted anew.
    with throttled(page, RATE):
        choose(page, *make_files(tmp_path, "four", "five"))
        expect(totals.locator("[part=label]")).to_have_text("0 of 2 files saved")
        cancel_all(page)


def test_all_are_cancelled_at_once(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    with throttled(page, 100_000):
        choose(page, *make_files(tmp_path, "one", "two", "three", "four"))
        expect(said(page, "Waiting")).to_have_count(2)
        cancel_all(page)
        expect(said(page, "Cancelled")).to_have_count(4)
    expect(page).to_have_title("Upload · mod_progress")
    assert sent.count("PUT") == 2
    assert list(server.uploads.glob("*")) == []


def test_what_was_cancelled_does_not_count(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    with throttled(page, RATE):
        choose(page, *make_files(tmp_path, "one", "two", "three"))
        page.get_by_role("button", name="Cancel: three").click()
        expect(page.locator("#totals [part=label]")).to_have_text("0 of 2 files saved")
        cancel_all(page)


def test_a_lost_server_is_waited_for(open_page: Callable[..., Page], tmp_path: Path) -> None:
    film = make_file(tmp_path / "film.mkv", 2 * SIZE)
    with serving(tmp_path, "--listen", "127.0.0.1:0") as server:
        page = open_page(server.url, permissions=["clipboard-read", "clipboard-write"])
        hurry(page)
        with throttled(page, RATE):
            choose(page, film)
            expect(row(page, "film.mkv")).to_contain_text("%")
            page.get_by_role("button", name="Copy link").click()
            expect(page.get_by_role("log")).to_contain_text("Link copied.")
            friend = open_page(page.evaluate("navigator.clipboard.readText()"))
            hurry(friend)
            expect(row(friend, "film.mkv")).to_contain_text("%")
            server.kill()
            expect(row(page, "film.mkv")).to_contain_text("No contact")
            expect(row(page, "film.mkv")).to_contain_text("It is tried again by itself.")
    assert not (server.uploads / "film.mkv").exists()
    with serving(tmp_path, "--listen", urlsplit(server.url).netloc) as server:
        expect(row(page, "film.mkv")).to_contain_text("Done")
        expect(row(friend, "film.mkv")).to_contain_text("Done")
        assert (server.uploads / "film.mkv").read_bytes() == film.read_bytes()


def test_waiting_for_a_server_can_be_cancelled(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    with serving(tmp_path, "--listen", "127.0.0.1:0") as server:
        page = open_page(server.url)
        hurry(page)
        with throttled(page, RATE):
            choose(page, *make_files(tmp_path, "film.mkv"))
            expect(row(page, "film.mkv")).to_contain_text("%")
            server.kill()
    expect(row(page, "film.mkv")).to_contain_text("No contact")
    page.get_by_role("button", name="Cancel: film.mkv").click()
    expect(row(page, "film.mkv")).to_contain_text("Cancelled")


def test_a_connection_that_always_breaks_is_given_up(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    tries: list[str] = []
    page.on("requestfailed", lambda request: tries.append(request.method))
    hurry(page)
    page.route("**/upload/*", lambda route: route.abort("connectionreset"))
    choose(page, *make_files(tmp_path, "film.mkv"))
    expect(row(page, "film.mkv")).to_contain_text("The connection was lost.")
    expect(row(page, "film.mkv")).to_contain_text("Failed")
    assert tries.count("PUT") == 4
    page.unroute("**/upload/*")
    page.get_by_role("button", name="Try again: film.mkv").click()
    expect(row(page, "film.mkv")).to_contain_text("Done")


def test_leaving_warns_only_while_something_runs(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    warns = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert not page.evaluate(warns)
    with throttled(page, RATE):
        choose(page, *make_files(tmp_path, "one", "two", "three"))
        expect(said(page, "Waiting")).to_have_count(1)
        assert page.evaluate(warns)
    expect(said(page, "Done")).to_have_count(3)
    assert not page.evaluate(warns)


def make_folder(folder: Path) -> Path:
    (folder / "holiday" / "day 1").mkdir(parents=True)
    make_files(folder / "holiday", "plan.txt", "day 1/a&b.jpg", "day 1/ü.jpg", size=10)
    return folder / "holiday"


FOLDER = ["holiday/day 1/a&b.jpg", "holiday/day 1/ü.jpg", "holiday/plan.txt"]


def saved(server: Server) -> list[str]:
    """Return the paths of all files that the server has saved."""
    found = [path for path in server.uploads.rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(server.uploads)) for path in found)


def test_a_folder_that_is_chosen_keeps_its_paths(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    page.get_by_label("Choose a folder").set_input_files(str(make_folder(tmp_path)))
    expect(said(page, "Done")).to_have_count(3)
    expect(row(page, "holiday/day 1/a&b.jpg")).to_contain_text("Done")
    assert saved(server) == FOLDER
    link = row(page, "holiday/day 1/a&b.jpg").get_by_role("link")
    expect(link).to_have_text("holiday/day 1/a&b.jpg")
    answer = page.request.get(link.evaluate("link => link.href"))
    assert answer.body() == (server.uploads / FOLDER[0]).read_bytes()


def test_a_folder_that_is_dropped_keeps_its_paths(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    dropped = [str(make_folder(tmp_path)), str(make_file(tmp_path / "single", 10))]
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": dropped, "dragOperationsMask": 1}
        place = {"x": 100, "y": 100}
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})
    expect(said(page, "Done")).to_have_count(4)
    assert saved(server) == [*FOLDER, "single"]


def test_what_cannot_be_read_of_a_folder_does_not_stop_the_rest(
    open_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    page = open_page(server.url)
    folder = make_folder(tmp_path)
    os.mkfifo(folder / "pipe")
    (folder / "nowhere").symlink_to(folder / "gone")
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, "x": 9, "y": 9})
    for name in ("plan.txt", "day 1/a&b.jpg", "day 1/ü.jpg"):
        expect(row(page, f"holiday/{name}")).to_contain_text("Done")
