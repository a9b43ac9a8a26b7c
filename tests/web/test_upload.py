"""`progress-upload.js`, for people who write their own page."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import JSHandle, Page, expect

from tests.connections import wait_until
from tests.web.browsing import make_file, throttled
from tests.web.playground import Playground
from tests.web.shows import ScriptedShow

DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "browser.md").read_text()


def example(heading: str) -> bytes:
    """Return the page of the documentation's first example under a heading."""
    section = DOCUMENTATION.split(f"\n## {heading}\n")[1]
    markup = section.split("```html\n")[1].split("```")[0]
    return f"<!doctype html><link rel=icon href=data:,>{markup}".encode()


def test_the_example_of_a_form_works(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    tmp_path: Path,
) -> None:
    tracked_playground.pages["/"] = example("A bar for a form")
    page = open_page(tracked_playground.url)
    page.locator("input").set_input_files(str(make_file(tmp_path / "film.mkv", 100_000)))
    page.locator("button").evaluate("button => { button.click(); }")
    # The browser waits for the next page. It lets nobody look into this one, whose requests go on.
    with page.expect_request("**/progress?**"):
        pass
    tracked_playground.gate.set()
    expect(page.get_by_text("This is what the server says.")).to_be_visible()


def test_the_example_of_a_download_works(
    open_page: Callable[..., Page], tracked_playground: Playground
) -> None:
    markup = example("A bar for a download").replace(b"/films/1.mkv", b"/download")
    tracked_playground.pages["/"] = markup
    page = open_page(tracked_playground.url)
    tracked_playground.gate.set()
    with page.expect_download():
        page.get_by_role("link").click()
    expect(page.locator("transfer-progress [part=status]")).to_have_text("Done")


def test_the_example_of_an_own_page_works(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    tmp_path: Path,
) -> None:
    tracked_playground.pages["/"] = example("Write your own")
    tracked_playground.policy = "default-src 'self' 'unsafe-inline'; img-src data:"
    page = open_page(tracked_playground.url)
    bar = page.locator("#bar")
    with throttled(page, 2_000_000), page.expect_response("**/upload?*") as response:
        page.locator("#file").set_input_files(str(make_file(tmp_path / "film.mkv", 3_000_000)))
        values = [0.0]
        while values[-1] < 1:
            values.append(bar.evaluate("bar => bar.value"))
        tracked_playground.gate.set()
    assert response.value.status == 200
    assert len(set(values)) > 2
    assert values == sorted(values)


@pytest.fixture
def module(open_page: Callable[..., Page], playground: Playground, show: ScriptedShow) -> JSHandle:
    playground.policy = ""  # it may send elsewhere
    return open_page(playground.url).evaluate_handle("import('/progress-upload.js')")


WATCH = """async ({ watch }, ids) => {
    const seen = [];
    for (const id of ids) for await (const { state } of watch(id)) seen.push(state);
    return seen;
}"""


def test_watching_ends_with_the_transfer(module: JSHandle, show: ScriptedShow) -> None:
    show.set("done", "done", 100)
    show.set("failed", "error")
    assert module.evaluate(WATCH, ["done", "failed"]) == ["done", "error"]


def test_watching_ends_when_the_page_says_so(module: JSHandle, show: ScriptedShow) -> None:
    show.set("one", "running", 50)
    seen = module.evaluate(
        """async ({ watch }) => {
            const stop = new AbortController();
            const seen = [];
            for await (const { received } of watch("one", { signal: stop.signal })) {
                seen.push(received);
                stop.abort();
            }
            return seen;
        }"""
    )
    assert seen == [50]


def test_two_who_watch_the_same_both_see_it(module: JSHandle, show: ScriptedShow) -> None:
    show.set("one", "done", 100)
    both = module.evaluate(
        """async ({ watch }) => {
            const last = async () => {
                let seen;
                for await (const { state } of watch("one")) seen = state;
                return seen;
            };
            return Promise.all([last(), last()]);
        }"""
    )
    assert both == ["done", "done"]
    assert show.kinds() == ["poll"]


UPLOAD = """async ({ upload, UploadFailure }, [place, cancel]) => {
    const stop = new AbortController();
    const sent = upload(place, new Blob(["film"]), { identifier: "one", signal: stop.signal });
    if (cancel) stop.abort();
    try {
        return (await sent).status;
    } catch (error) {
        return [error instanceof UploadFailure, error.reason, error.status];
    }
}"""


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address that refuses connections."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/upload/201"


def test_an_upload_tells_how_it_went(
    module: JSHandle, playground: Playground, nowhere: str
) -> None:
    playground.gate.set()
    assert module.evaluate(UPLOAD, ["/upload/201", False]) == 201
    assert module.evaluate(UPLOAD, ["/upload/413", False]) == [True, "refused", 413]
    assert module.evaluate(UPLOAD, ["/upload/201", True]) == [True, "cancelled", 0]
    assert module.evaluate(UPLOAD, [nowhere, False]) == [True, "lost", 0]


def test_a_refusal_that_the_browser_missed_is_asked_for(
    module: JSHandle, show: ScriptedShow, nowhere: str
) -> None:
    show.set("one", "error")
    assert module.evaluate(UPLOAD, [nowhere, False]) == [True, "refused", 500]


def test_what_others_send_under_the_id_does_not_end_an_upload(
    module: JSHandle, playground: Playground, show: ScriptedShow
) -> None:
    show.set("one", "error")
    module.evaluate(
        """({ upload }) => {
            window.told = [];
            const report = ({ state }) => window.told.push(state);
            const sent = upload("/upload/201", new Blob(["film"]), { identifier: "one", report });
            window.sent = sent.then((response) => (window.ended = response.status));
        }"""
    )
    wait_until(lambda: module.evaluate("() => window.told") == ["error"])
    assert module.evaluate("() => window.ended") is None
    playground.gate.set()
    assert module.evaluate("() => window.sent.then(() => window.ended)") == 201
