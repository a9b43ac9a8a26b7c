from collections.abc import Callable

from playwright.sync_api import Page

from tests.web.playground import Playground

SEND = """async () => {
    const url = location.href + "upload/200?X-Progress-ID=a";
    await fetch(url, {method: "POST", body: "x".repeat(1000)});
    // The entry comes some time after the answer.
    const entry = await new Promise(resolve => {
        new PerformanceObserver(list => {
            list.getEntriesByName(url).forEach(resolve);
        }).observe({type: "resource", buffered: true});
    });
    return entry.serverTiming.map(({name, duration}) => [name, typeof duration]);
}"""


def test_a_page_learns_how_long_the_server_took(
    open_page: Callable[..., Page], tracked_playground: Playground
) -> None:
    tracked_playground.gate.set()
    page = open_page(tracked_playground.url)
    assert page.evaluate(SEND) == [["body", "number"], ["app", "number"]]
