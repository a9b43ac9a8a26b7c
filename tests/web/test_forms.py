"""`<form data-progress>` and `<a data-progress>`: bars for what the browser sends and saves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.web.browsing import make_file, throttled
from tests.web.playground import DOWNLOAD_SIZE, Playground, page_of

FORM = """
<form data-progress method="post" action="{action}" enctype="multipart/form-data" {attributes}>
  <input type="file" name="file" id="file" multiple>
  <button>Send</button>
</form>
"""

#: Bytes of the files that are sent, and bytes a second.
SIZE = 3_000_000
RATE = 1_500_000

#: Keeps what a page hears of its bars, when the page itself is gone.
LISTEN = b"""
const told = JSON.parse(sessionStorage.getItem("told") ?? "[]");
for (const type of ["progress", "done", "failed"]) {
  addEventListener(type, ({ detail }) => {
    told.push([type, detail.state, detail.value]);
    sessionStorage.setItem("told", JSON.stringify(told));
  });
}
"""


def form_page(action: str, attributes: str = "") -> bytes:
    form = FORM.format(action=action, attributes=attributes)
    return page_of(f'<script src="/listen.js"></script>{form}')


def open_form(
    open_page: Callable[..., Page],
    playground: Playground,
    action: str,
    attributes: str = "",
    apart: bool = False,
) -> Page:
    playground.pages["/"] = form_page(action, attributes)
    playground.pages["/thanks"] = page_of("<h1>Thank you</h1>")
    playground.scripts["/listen.js"] = LISTEN
    return open_page(playground.url, apart=apart)


def send(page: Page, *files: Path) -> None:
    page.locator("#file").set_input_files([str(file) for file in files])
    # A click would wait until the new page is there.
    page.get_by_role("button", name="Send").evaluate("button => { button.click(); }")


def told(page: Page) -> list[list[object]]:
    said: list[list[object]] = page.evaluate("JSON.parse(sessionStorage.getItem('told'))")
    return said


def part(bar: Locator, name: str) -> Locator:
    return bar.locator(f"[part={name}]")


def test_a_form_that_goes_to_another_page_has_a_bar_meanwhile(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    tmp_path: Path,
) -> None:
    tracked_playground.gate.set()
    page = open_form(open_page, tracked_playground, "/upload/redirect?a=b%20c")
    with throttled(page, RATE), page.expect_request("**/upload/**") as sent:
        send(page, make_file(tmp_path / "film.mkv", SIZE))
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert "?a=b%20c&X-Progress-ID=own~" in sent.value.url
    values = [value for _, state, value in told(page) if state == "uploading"]
    assert len({*values}) > 1
    assert values == sorted(values, key=str)


def test_a_form_in_a_frame_shows_the_end(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    tmp_path: Path,
) -> None:
    tracked_playground.policy += "; frame-src 'self'"
    page = open_form(open_page, tracked_playground, "/upload/200", 'target="result"')
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('iframe'), {name: 'result'}))"
    )
    bar = page.locator("form > transfer-progress")
    expect(bar).to_have_count(0)
    send(page, make_file(tmp_path / "one", SIZE), make_file(tmp_path / "two", 1))
    expect(part(bar, "label")).to_have_text("one +1")
    expect(part(bar, "status")).to_have_text("Processing")
    tracked_playground.gate.set()
    expect(part(bar, "status")).to_have_text("Done")
    assert told(page)[-1] == ["done", "done", 1]
    # Again: with a new id, in the same bar.
    first = bar.get_attribute("for-id")
    send(page, tmp_path / "two")
    expect(part(bar, "status")).to_have_text("Done")
    expect(part(bar, "label")).to_have_text("two")
    assert bar.get_attribute("for-id") != first
    action = page.locator("form").get_attribute("action")
    assert action is not None
    assert action.count("X-Progress-ID") == 1


def test_a_button_with_a_place_of_its_own(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    tmp_path: Path,
) -> None:
    tracked_playground.pages["/"] = page_of(
        """<form data-progress data-progress-label="Your video" enctype="multipart/form-data">
        <input type="file" name="file" id="file"><transfer-progress></transfer-progress>
        <input name="action"><input name="method">
        <button formmethod="post" formaction="/upload/413">Send</button></form>"""
    )
    page = open_page(tracked_playground.url)
    # What another script sends where the form would have gone.
    page.evaluate(
        """() => addEventListener("submit", (event) => {
            event.preventDefault();
            const place = event.submitter.formAction;
            fetch(place, { method: "POST", body: new FormData(event.target) });
        })"""
    )
    bar = page.locator("transfer-progress")
    send(page, make_file(tmp_path / "film.mkv", 100_000))
    expect(part(bar, "label")).to_have_text("Your video")
    expect(part(bar, "status")).to_have_text("Processing")
    tracked_playground.gate.set()
    expect(part(bar, "detail")).to_have_text("The server refused it (status 413)")


def test_a_form_that_is_not_sent_has_no_bar(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    tmp_path: Path,
) -> None:
    page = open_form(open_page, tracked_playground, "/upload/200", apart=True)
    page.clock.install()
    page.evaluate("addEventListener('submit', (event) => event.preventDefault())")
    bar = page.locator("transfer-progress")
    send(page, make_file(tmp_path / "film.mkv", 100))
    expect(bar).to_be_hidden()
    assert (bar.get_attribute("for-id") or "").startswith("own~")
    page.clock.run_for(61_000)
    assert bar.get_attribute("for-id") is None


def test_forms_that_send_no_body_and_others_stay_as_they_are(
    open_page: Callable[..., Page], tracked_playground: Playground
) -> None:
    tracked_playground.pages["/"] = page_of(
        '<form data-progress action="/thanks"><button>Search</button></form>'
        '<form method="post" action="/upload/redirect"><button>Plain</button></form>'
    )
    tracked_playground.pages["/thanks"] = page_of("<h1>Thank you</h1>")
    tracked_playground.gate.set()
    page = open_page(tracked_playground.url)
    for name, place in (("Search", "thanks?"), ("Plain", "thanks")):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
        assert page.url == tracked_playground.url + place
        page.goto(tracked_playground.url)


LINK = '<p><a data-progress href="/{path}?a=b%20c">The film</a></p>'


def test_a_download_has_a_bar(
    open_page: Callable[..., Page], tracked_playground: Playground
) -> None:
    tracked_playground.pages["/"] = page_of(LINK.format(path="download"))
    page = open_page(tracked_playground.url, still=True)
    link = page.get_by_role("link", name="The film")
    with page.expect_download() as download:
        link.click()
    bar = page.locator("a + transfer-progress")
    expect(part(bar, "label")).to_have_text("The film")
    expect(part(bar, "status")).to_have_text("50%")
    expect(part(bar, "detail")).to_contain_text("200 kB of 400 kB")
    expect(bar).to_have_attribute("state", "downloading")
    # People who copy the link get it without the id.
    assert link.get_attribute("href") == "/download?a=b%20c"
    tracked_playground.gate.set()
    expect(part(bar, "status")).to_have_text("Done")
    assert download.value.path().stat().st_size == DOWNLOAD_SIZE
    assert "?a=b%20c&X-Progress-ID=own~" in download.value.url


def test_a_download_whose_size_nobody_knows(
    open_page: Callable[..., Page], tracked_playground: Playground
) -> None:
    tracked_playground.pages["/"] = page_of(LINK.format(path="download/unsized"))
    page = open_page(tracked_playground.url, still=True)
    with page.expect_download():
        page.get_by_role("link", name="The film").click()
    bar = page.locator("transfer-progress")
    expect(part(bar, "detail")).to_contain_text("200 kB")
    tracked_playground.gate.set()
    expect(part(bar, "status")).to_have_text("Done")
    expect(part(bar, "detail")).to_have_text("400 kB")
