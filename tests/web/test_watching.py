"""How the script learns of progress: by a stream, a long poll or polls, whatever gets through."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.browsing import hurry
from tests.web.playground import Playground, page_of
from tests.web.shows import ScriptedShow


def bars_for(*identifiers: str) -> bytes:
    return page_of(
        "".join(f'<transfer-progress for-id="{each}"></transfer-progress>' for each in identifiers)
    )


@pytest.fixture
def bar(open_page: Callable[..., Page], playground: Playground, show: ScriptedShow) -> Locator:
    """The bar of the transfer "one", which is at 10%."""
    playground.pages["/"] = bars_for("one")
    show.set("one", "running", 10)
    return open_page(playground.url, still=True).locator("transfer-progress")


def pass_time(page: Page, seconds: int) -> None:
    """Set the page's clock forward, which stands still else. What waits goes on waiting."""
    page.evaluate(
        """(seconds) => {
            const now = performance.now.bind(performance);
            performance.now = () => now() + 1000 * seconds;
        }""",
        seconds,
    )


def status(bar: Locator) -> Locator:
    return bar.locator("[part=status]")


def test_a_stream_takes_over_from_polls(bar: Locator, show: ScriptedShow) -> None:
    expect(status(bar)).to_have_text("10%")
    show.set("one", "running", 50)
    expect(status(bar)).to_have_text("50%")
    polls = show.kinds().count("poll")
    for amount in range(51, 60):
        show.set("one", "running", amount)
        expect(status(bar)).to_have_text(f"{amount}%")
    show.set("one", "done", 100)
    expect(status(bar)).to_have_text("Done")
    # One was on its way when the stream told the first thing.
    assert show.kinds().count("poll") <= polls + 1
    assert show.kinds().count("stream") == 1


def test_a_transfer_that_is_short_needs_no_stream(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    playground.pages["/"] = bars_for("one")
    show.set("one", "done", 100)
    bar = open_page(playground.url, still=True).locator("transfer-progress")
    expect(status(bar)).to_have_text("Done")
    assert show.kinds() == ["poll"]


def test_one_that_is_not_there_yet_is_waited_for(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    playground.pages["/"] = bars_for("one")
    bar = open_page(playground.url, still=True).locator("transfer-progress")
    expect(status(bar)).to_have_text("Waiting")
    show.set("one", "running", 10)
    expect(status(bar)).to_have_text("10%")


def test_one_stream_serves_all_bars_of_a_page(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    playground.pages["/"] = bars_for("one", "two", "two", "three")
    for identifier, amount in (("one", 10), ("two", 20), ("three", 30)):
        show.set(identifier, "running", amount)
    page = open_page(playground.url, still=True)
    expect(page.locator("[part=status]")).to_have_text(["10%", "20%", "20%", "30%"])
    assert wait_until(page, lambda: "stream" in show.kinds())
    show.set("two", "running", 25)
    show.set("three", "done", 100)
    expect(page.locator("[part=status]")).to_have_text(["10%", "25%", "25%", "Done"])
    streams = [identifiers for kind, identifiers in show.asked if kind == "stream"]
    assert streams == [["one", "two", "three"]]


def test_a_stream_that_ends_comes_back(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    show.stream = "ending"
    playground.pages["/"] = bars_for("one")
    show.set("one", "running", 10)
    page = open_page(playground.url, still=True)
    bar = page.locator("transfer-progress")
    for amount in (10, 20, 30):
        show.set("one", "running", amount)
        expect(status(bar)).to_have_text(f"{amount}%")
    assert wait_until(page, lambda: show.kinds().count("stream") > 2)
    # The last one stays and has nothing to tell. It is trusted all the same.
    show.stream = "sent"
    polls = show.kinds().count("poll")

    def stalls() -> bool:
        # What an earlier stream has told may still come, and counts as a move.
        pass_time(page, 6)
        page.wait_for_timeout(1000)
        return status(bar).text_content() == "Stalled"

    assert wait_until(page, stalls)
    assert show.kinds().count("poll") <= polls + 3
    show.set("one", "done", 100)
    expect(status(bar)).to_have_text("Done")


def wait_until(page: Page, holds: Callable[[], bool]) -> bool:
    """Let the page go on until a condition holds, for 20 seconds at most."""
    for _ in range(400):
        if holds():
            return True
        page.wait_for_timeout(50)
    return False


def test_where_streams_are_refused_a_long_poll_waits_for_news(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    show.stream = "refused"
    playground.pages["/"] = bars_for("one")
    show.set("one", "running", 10)
    bar = open_page(playground.url, still=True).locator("transfer-progress")
    assert wait_until(bar.page, lambda: "long poll" in show.kinds())
    asked = len(show.asked)
    show.set("one", "running", 20)
    expect(status(bar)).to_have_text("20%")
    show.set("one", "done", 100)
    expect(status(bar)).to_have_text("Done")
    assert set(show.kinds()[asked:]) <= {"long poll"}
    assert show.kinds().count("stream") == 1


def test_a_server_that_refuses_streams_is_not_asked_for_one_again(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    show.stream = "refused"
    playground.pages["/"] = bars_for("one")
    show.set("one", "running", 10)
    page = open_page(playground.url, still=True)
    bar = page.locator("transfer-progress")
    assert wait_until(page, lambda: "stream" in show.kinds())
    assert wait_until(page, lambda: "long poll" in show.kinds())
    show.set("one", "done", 100)
    expect(status(bar)).to_have_text("Done")
    # Neither for the next transfer, after any time.
    pass_time(page, 3600)
    show.set("two", "running", 10)
    bar.evaluate("bar => bar.setAttribute('for-id', 'two')")
    assert wait_until(page, lambda: ("long poll", ["two"]) in show.asked)
    show.set("two", "running", 20)
    expect(status(bar)).to_have_text("20%")
    assert show.kinds().count("stream") == 1


def test_several_are_polled_so_that_none_holds_all_connections(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    show.stream = "refused"
    playground.pages["/"] = bars_for(*"abcdefgh")
    for identifier in "abcdefgh":
        show.set(identifier, "running", 10)
    page = open_page(playground.url, still=True)
    expect(page.locator("[part=status]")).to_have_text(["10%"] * 8)
    for identifier in "abcdefgh":
        show.set(identifier, "running", 20)
    expect(page.locator("[part=status]")).to_have_text(["20%"] * 8)
    assert "long poll" not in show.kinds()


def test_a_show_without_etags_is_polled(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    show.stream, show.tagged = "refused", False
    playground.pages["/"] = bars_for("one")
    show.set("one", "running", 10)
    bar = open_page(playground.url, still=True).locator("transfer-progress")
    expect(status(bar)).to_have_text("10%")
    show.set("one", "running", 20)
    expect(status(bar)).to_have_text("20%")
    show.set("one", "error")
    expect(status(bar)).to_have_text("Failed")
    assert set(show.kinds()) == {"poll", "stream"}


def test_a_stream_that_is_held_back_is_given_up(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    show.stream = "held"
    playground.pages["/"] = bars_for("one")
    show.set("one", "running", 10)
    bar = open_page(playground.url, still=True).locator("transfer-progress")
    # Polls go on meanwhile.
    assert wait_until(bar.page, lambda: "stream" in show.kinds())
    show.set("one", "running", 20)
    expect(status(bar)).to_have_text("20%")
    pass_time(bar.page, 6)
    assert wait_until(bar.page, lambda: "long poll" in show.kinds())
    show.set("one", "running", 30)
    expect(status(bar)).to_have_text("30%")
    assert show.kinds().count("stream") == 1


def test_a_server_that_goes_away_and_comes_back(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    playground.pages["/"] = bars_for("one")
    show.set("one", "running", 10)
    page = open_page(playground.url, apart=True, still=True)
    bar = page.locator("transfer-progress")
    expect(status(bar)).to_have_text("10%")
    page.context.set_offline(True)
    pass_time(page, 6)
    expect(status(bar)).to_have_text("Stalled")
    page.context.set_offline(False)
    show.set("one", "running", 20)
    expect(status(bar)).to_have_text("20%")


def test_a_hidden_page_leaves_the_connection_to_others(bar: Locator, show: ScriptedShow) -> None:
    assert wait_until(bar.page, lambda: "stream" in show.kinds())
    hurry(bar.page)
    bar.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { value: true, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    show.set("one", "running", 20)
    expect(status(bar)).to_have_text("20%")
    assert show.kinds()[-1] == "poll"
    bar.evaluate(
        """() => {
            delete document.hidden;
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    assert wait_until(bar.page, lambda: show.kinds().count("stream") == 2)


def test_a_page_that_is_gone_back_to_goes_on(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    playground.pages["/"] = bars_for("one")
    playground.pages["/other"] = b"<!doctype html><link rel=icon href=data:,>"
    show.set("one", "running", 10)
    page = open_page(playground.url, still=True)
    page.evaluate("window.mark = 'kept'")
    bar = page.locator("transfer-progress")
    assert wait_until(bar.page, lambda: "stream" in show.kinds())
    page.goto(playground.url + "other")
    show.set("one", "running", 60)
    page.evaluate("history.back()")
    expect(status(bar)).to_have_text("60%")
    assert page.evaluate("window.mark") == "kept"
    show.set("one", "done", 100)
    expect(status(bar)).to_have_text("Done")


def test_a_bar_that_is_taken_away_asks_no_more(
    open_page: Callable[..., Page], playground: Playground, show: ScriptedShow
) -> None:
    show.stream = "refused"
    playground.pages["/"] = bars_for("one", "two", "three")
    for identifier in ("one", "two", "three"):
        show.set(identifier, "running", 10)
    page = open_page(playground.url, still=True)
    bars = page.locator("transfer-progress")
    expect(status(bars)).to_have_text(["10%", "10%", "10%"])
    bars.first.evaluate("bar => bar.remove()")
    polls = len(show.asked)
    assert wait_until(page, lambda: len(show.asked) > polls + 4)
    assert all(identifiers != ["one"] for _, identifiers in show.asked[polls + 1 :])
