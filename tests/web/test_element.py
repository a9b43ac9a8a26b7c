"""`<transfer-progress>`: what it shows, says and tells the page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.playground import Playground, page_of

#: The page's script is there, and the time stands still.
DEFINED = """customElements.whenDefined("transfer-progress").then(() => {
    performance.now = () => 0;
})"""

BAR = '<transfer-progress label="film.mkv"></transfer-progress>'


def run(received: int, size: int | None = 10_000_000) -> dict[str, Any]:
    sizes = {"request_size": size, "sent": 0, "response_size": 0}
    return {"state": "running", "received": received, **sizes}


DONE = {**run(10_000_000), "state": "done"}


@pytest.fixture
def bar(lasting_page: Page) -> Locator:
    """A new bar that nothing feeds but the test."""
    lasting_page.evaluate(
        """() => {
            const bar = document.createElement("transfer-progress");
            bar.setAttribute("label", "film.mkv");
            document.body.replaceChildren(bar);
        }"""
    )
    lasting_page.evaluate(DEFINED)
    return lasting_page.locator("transfer-progress")


def bar_in(open_page: Callable[..., Page], playground: Playground, body: str) -> Locator:
    playground.pages["/"] = page_of(body)
    page = open_page(playground.url)
    page.evaluate(DEFINED)
    return page.locator("transfer-progress").first


def feed(bar: Locator, *snapshots: dict[str, Any]) -> None:
    bar.evaluate("(bar, snapshots) => snapshots.forEach((each) => bar.update(each))", snapshots)


def part(bar: Locator, name: str) -> Locator:
    return bar.locator(f"[part={name}]")


def test_it_shows_name_percent_amounts_and_the_bar(bar: Locator) -> None:
    expect(part(bar, "label")).to_have_text("film.mkv")
    expect(part(bar, "status")).to_have_text("Waiting")
    expect(bar).to_have_attribute("state", "waiting")
    feed(bar, run(2_990_000))
    expect(part(bar, "status")).to_have_text("29%")
    expect(part(bar, "detail")).to_have_text("3.0 MB of 10.0 MB")
    expect(bar).to_have_attribute("state", "uploading")
    expect(bar).to_have_attribute("value", "0.299")
    assert part(bar, "bar").evaluate("bar => bar.value") == 0.299
    feed(bar, run(10_000_000))
    expect(part(bar, "status")).to_have_text("Processing")
    expect(part(bar, "detail")).to_have_text("10.0 MB")
    feed(bar, DONE)
    expect(part(bar, "status")).to_have_text("Done")
    expect(bar).to_have_attribute("state", "done")


def test_a_size_that_nobody_knows_is_no_percentage(bar: Locator) -> None:
    feed(bar, run(2_000_000, None))
    expect(part(bar, "status")).to_have_text("Uploading")
    expect(part(bar, "detail")).to_have_text("2.0 MB")
    assert part(bar, "bar").evaluate("bar => bar.position") == -1
    assert bar.get_attribute("value") is None


FAILURES: list[tuple[dict[str, Any], str, str]] = [
    ({"state": "error", "status": 413}, "Failed", "The server refused it (status 413)"),
    ({"state": "error", "status": 0}, "Failed", "The transfer was cut off"),
    ({"state": "unknown"}, "Failed", "It ended; how is no longer known"),
    ({"state": "cancelled"}, "Cancelled", ""),
]


def test_it_says_how_a_transfer_failed(
    open_page: Callable[..., Page], playground: Playground
) -> None:
    bars = bar_in(open_page, playground, len(FAILURES) * BAR).page.locator("transfer-progress")
    for bar, (snapshot, status, detail) in zip(bars.all(), FAILURES, strict=True):
        feed(bar, run(1_000_000), snapshot)
        expect(bar).to_have_attribute("state", "failed")
        expect(part(bar, "status")).to_have_text(status)
        expect(part(bar, "detail")).to_have_text(detail)


def test_rate_and_time_left_count_down_and_stop_where_nothing_comes(
    open_page: Callable[..., Page], playground: Playground
) -> None:
    playground.pages["/"] = page_of(BAR)
    page = open_page(playground.url, apart=True)
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.reload()
    bar = page.locator("transfer-progress")
    feed(bar, run(0))
    page.clock.run_for(2000)
    feed(bar, run(2_000_000))
    expect(part(bar, "detail")).to_have_text("2.0 MB of 10.0 MB · 1.0 MB/s · 8 sec left")
    page.clock.run_for(3000)
    expect(part(bar, "detail")).to_have_text("2.0 MB of 10.0 MB · 1.0 MB/s · 5 sec left")
    page.clock.run_for(2000)
    expect(bar).to_have_attribute("state", "stalled")
    expect(part(bar, "status")).to_have_text("Stalled")
    expect(part(bar, "detail")).to_have_text("2.0 MB of 10.0 MB")
    feed(bar, run(9_990_000))
    expect(bar).to_have_attribute("state", "uploading")
    expect(part(bar, "detail")).to_contain_text("1 sec left")
    page.clock.run_for(4000)
    # It is late, but it runs.
    expect(part(bar, "detail")).to_contain_text("1 sec left")


def test_the_page_hears_of_progress_and_once_of_the_end(bar: Locator) -> None:
    bar.evaluate(
        """() => {
            window.heard = [];
            for (const type of ["progress", "done", "failed"]) {
                document.addEventListener(type, ({ type, target, detail }) => {
                    window.heard.push([type, target.localName, detail.state, detail.value]);
                });
            }
        }"""
    )
    feed(bar, {"state": "unknown"}, run(2_500_000), DONE, DONE)
    assert bar.page.evaluate("heard") == [
        ["progress", "transfer-progress", "uploading", 0.25],
        ["progress", "transfer-progress", "done", 1],
        ["done", "transfer-progress", "done", 1],
    ]


def test_it_speaks_of_each_quarter_and_once_of_the_end(bar: Locator) -> None:
    bar.evaluate(
        """(bar) => {
            window.spoken = [];
            const news = bar.shadowRoot.querySelector("[role=status]");
            new MutationObserver(() => window.spoken.push(news.textContent)).observe(news, {
                childList: true,
            });
        }"""
    )
    for amount in range(0, 10_000_001, 500_000):
        feed(bar, run(amount))
    feed(bar, DONE, DONE)
    assert bar.page.evaluate("spoken") == [
        "film.mkv: 25%",
        "film.mkv: 50%",
        "film.mkv: 75%",
        "film.mkv: Done",
    ]
    news = bar.get_by_role("status")
    expect(news).to_have_css("clip-path", "inset(50%)")


def test_a_quiet_one_does_not_speak(open_page: Callable[..., Page], playground: Playground) -> None:
    bar = bar_in(open_page, playground, "<transfer-progress quiet></transfer-progress>")
    feed(bar, run(5_000_000), {"state": "error", "status": 500})
    expect(bar.get_by_role("status")).to_have_text("")


def test_screen_readers_know_the_bar(bar: Locator) -> None:
    feed(bar, run(5_000_000))
    expect(bar.get_by_role("progressbar", name="film.mkv")).to_have_attribute(
        "aria-valuetext", "50%, 5.0 MB of 10.0 MB"
    )
    bar.evaluate("bar => bar.removeAttribute('label')")
    expect(bar.get_by_role("progressbar", name="Transfer")).to_be_visible()


def test_nothing_moves_for_those_who_ask(bar: Locator) -> None:
    feed(bar, run(10_000_000))
    expect(part(bar, "bar")).to_have_css("animation-name", "breathe")
    bar.page.emulate_media(reduced_motion="reduce")
    expect(part(bar, "bar")).to_have_css("animation-name", "none")
    bar.page.emulate_media(reduced_motion="no-preference")


def test_a_new_id_starts_from_the_beginning(bar: Locator) -> None:
    feed(bar, run(5_000_000), DONE)
    bar.evaluate("bar => bar.setAttribute('for-id', '')")
    expect(bar).to_have_attribute("state", "waiting")
    expect(bar).to_have_attribute("value", "0")


def test_a_bar_that_is_moved_keeps_what_it_shows(bar: Locator) -> None:
    feed(bar, run(5_000_000))
    bar.evaluate("bar => document.body.appendChild(document.createElement('p')).append(bar)")
    expect(part(bar, "status")).to_have_text("50%")
    expect(bar).to_have_attribute("state", "uploading")


def test_the_page_chooses_colours_and_sizes(
    open_page: Callable[..., Page], playground: Playground
) -> None:
    playground.scripts["/theme.css"] = b"""
        transfer-progress {
          --progress-height: 20px;
          --progress-track-color: rgb(1, 2, 3);
        }
        transfer-progress::part(label) { color: rgb(4, 5, 6); }
        transfer-progress[state="failed"]::part(status) { color: rgb(7, 8, 9); }
    """
    bar = bar_in(open_page, playground, f'<link rel="stylesheet" href="/theme.css">{BAR}')
    feed(bar, {"state": "error", "status": 500})
    expect(part(bar, "bar")).to_have_css("height", "20px")
    expect(part(bar, "bar")).to_have_css("background-color", "rgb(1, 2, 3)")
    expect(part(bar, "label")).to_have_css("color", "rgb(4, 5, 6)")
    expect(part(bar, "status")).to_have_css("color", "rgb(7, 8, 9)")


def test_words_of_the_page_go_before_its_own(
    open_page: Callable[..., Page], playground: Playground
) -> None:
    words = '<b slot="status">Safe</b><i slot="detail">in the archive</i>'
    body = f"<transfer-progress quiet>{words}</transfer-progress>"
    bar = bar_in(open_page, playground, body)
    feed(bar, DONE)
    shown = bar.aria_snapshot()
    assert "Safe" in shown
    assert "in the archive" in shown
    assert "Done" not in shown.replace("Done, 10.0 MB", "")


LANGUAGES = [
    ("de", "29 %", "3,0 MB von 10,0 MB"),
    ("de-CH", "29%", "3.0 MB von 10.0 MB"),
    ("fr", "29 %", "3,0 Mo sur 10,0 Mo"),
    ("he", "29%", "\u200f\u20683.0 MB\u2069 מתוך \u206810.0 MB\u2069"),
    ("ja", "29%", "3.0 MB / 10.0 MB"),
    ("fi", "29 %", "3,0 Mt of 10,0 Mt"),
    ("not a language", "29%", "3.0 MB of 10.0 MB"),
]


def test_it_speaks_the_language_of_the_page(bar: Locator) -> None:
    for language, percent, amounts in LANGUAGES:
        bar.evaluate(
            """(bar, language) => {
                document.documentElement.lang = language;
                bar.replaceWith(document.createElement("transfer-progress"));
            }""",
            language,
        )
        feed(bar, run(2_990_000))
        # Playwright compares texts with all kinds of spaces as one.
        expect(part(bar, "status")).to_have_text(percent)
        expect(part(bar, "detail")).to_have_text(amounts)
    bar.evaluate("() => { document.documentElement.lang = 'en'; }")


def test_every_language_has_every_word(bar: Locator) -> None:
    words = bar.page.evaluate("import('/progress-languages.js').then((module) => module.default)")
    names = {frozenset(dictionary) for dictionary in words.values()}
    assert len(names) == 1
    assert all(all(dictionary.values()) for dictionary in words.values())
    for dictionary in words.values():
        assert {key for key, word in dictionary.items() if "{0}" in word} == {
            "of",
            "left",
            "refused",
        }
        assert "{1}" in dictionary["of"]


def test_a_part_of_the_page_has_a_language_of_its_own(
    open_page: Callable[..., Page], playground: Playground
) -> None:
    bar = bar_in(open_page, playground, f'<div lang="de">{BAR}</div>{BAR}')
    expect(part(bar, "status")).to_have_text("Wartet")
    expect(part(bar.page.locator("transfer-progress").last, "status")).to_have_text("Waiting")


#: Where the parts of a text begin, from the left.
PLACES = """(element, parts) => {
    const text = element.querySelector("bdi").firstChild;
    return parts.map((part) => {
        const range = document.createRange();
        range.setStart(text, text.data.indexOf(part));
        range.setEnd(text, text.data.indexOf(part) + part.length);
        return range.getBoundingClientRect().left;
    });
}"""


def test_it_reads_and_fills_from_the_right_where_the_page_does(
    open_page: Callable[..., Page], playground: Playground
) -> None:
    bar = bar_in(open_page, playground, f'<div dir="rtl" lang="he">{BAR}</div>')
    feed(bar, run(5_000_000))
    label, status = (part(bar, name).bounding_box() for name in ("label", "status"))
    assert label is not None
    assert status is not None
    assert label["x"] > status["x"]
    expect(part(bar, "detail")).to_contain_text("מתוך")
    words = ["10.0", "מתוך", "5.0", "MB"]
    places = part(bar, "detail").evaluate(PLACES, words)
    assert places == sorted(places)


#: The colours of a PNG in the middle of its left and of its right half.
COLOURS = """async (png) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const context = document.createElement("canvas").getContext("2d");
    context.drawImage(image, 0, 0, 4, 3);
    return [1, 2].map((x) => [...context.getImageData(x, 1, 1, 1).data]);
}"""


def test_the_bar_is_seen_where_people_choose_the_colours(bar: Locator) -> None:
    bar.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    feed(bar, run(5_000_000))
    expect(part(bar, "bar")).to_have_css("border-top-width", "1px")
    picture = b64encode(part(bar, "bar").screenshot()).decode()
    bar.page.emulate_media(forced_colors="none", reduced_motion="no-preference")
    left, right = bar.page.evaluate(COLOURS, picture)
    assert left != right


def test_the_script_may_come_late_and_twice(
    open_page: Callable[..., Page], playground: Playground
) -> None:
    playground.pages["/"] = page_of(BAR).replace(b'<script type="module" src="/progress.js">', b"")
    playground.scripts["/again.js"] = b"import '/progress.js?another'; import '/progress.js';"
    page = open_page(playground.url)
    bar = page.locator("transfer-progress")
    assert bar.evaluate("bar => bar.shadowRoot") is None
    page.evaluate("import('/again.js').then(() => true)")
    expect(part(bar, "status")).to_have_text("Waiting")
    feed(bar, run(5_000_000))
    expect(part(bar, "status")).to_have_text("50%")
