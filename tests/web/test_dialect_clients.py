"""Clients that were written for the modules of nginx and Apache, unchanged, in a real browser.

Where a client is in no registry, a small page sends its requests with the library that it uses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.browsing import ELSEWHERE, make_file
from tests.web.libraries import JQUERY, SIMPLE_AJAX_UPLOADER
from tests.web.playground import Playground, page_of

#: Prototype, as Debian has it (libjs-prototype).
PROTOTYPE = Path("/usr/share/javascript/prototype/prototype.js")

#: A form whose answer goes into a frame, and a page that shows what it learns meanwhile.
FORM = """
<form action="/held/200" method="post" enctype="multipart/form-data" target="answer">
<input type="file" name="file"><button>Upload</button></form>
<iframe name="answer"></iframe><p id="state"></p><p id="percent"></p>
<script src="/library.js"></script><script>
function makeId() {
  let id = "";
  for (let i = 0; i < 32; i++) id += Math.floor(Math.random() * 16).toString(16);
  return id;
}
function tell(upload) {
  document.getElementById("state").textContent = upload.state;
  if (upload.state === "uploading") {
    const percents = Math.floor((upload.received / upload.size) * 1000) / 10;
    document.getElementById("percent").textContent = percents + "%";
  }
}
</script>
"""

#: As jquery-upload-progress does it: the id is in the action, and the polls go on until the end.
JQUERY_PAGE = """<script>
$("form").on("submit", function () {
  const id = makeId();
  $(this).attr("action", $(this).attr("action") + "?X-Progress-ID=" + id);
  const timer = window.setInterval(() => jQuery.ajax({
    type: "GET",
    url: "%s?X-Progress-ID=" + id,
    dataType: "%s",
    success(upload) {
      tell(upload);
      if (upload.state == "done" || upload.state == "error") window.clearTimeout(timer);
    },
  }), 50);
});
</script>"""

#: As the scripts for Prototype do it: the id of a poll is in a header, and the answer is evaluated.
PROTOTYPE_PAGE = """<script>
Event.observe(document.forms[0], "submit", function () {
  const id = makeId();
  this.action += "?X-Progress-ID=" + id;
  new PeriodicalExecuter((executer) => new Ajax.Request("%s", {
    method: "get",
    requestHeaders: { "X-Progress-ID": id },
    onSuccess(transport) {
      const upload = transport.responseJSON || eval(transport.responseText);
      tell(upload);
      if (upload.state == "done" || upload.state == "error") executer.stop();
    },
  }), 0.05);
});
</script>"""

#: It polls only where the browser cannot tell how much it has sent. Its first poll comes when the
#: test says so, as it gives up where that says ``starting``. And in its mode for nginx it forgets
#: the address of the upload, so the page has to set it.
UPLOADER_PAGE = """
<button id="choose">Choose</button><p id="percent"></p><p id="answer"></p>
<script>
Object.defineProperty(XMLHttpRequest.prototype, "upload", { value: undefined });
const wait = window.setTimeout;
window.setTimeout = (call, time) => time === 600 ? (window.poll = call) : wait(call, time);
</script><script src="/library.js"></script><script>
const uploader = new ss.SimpleUpload({
  button: "choose",
  url: "/held/200",
  name: "file",
  noParams: true,
  nginxProgressUrl: "/nginx.json",
  checkProgressInterval: 50,
  startNonXHR() {
    const make = ss.getUID;
    ss.getUID = () => {
      ss.getUID = make;
      window.key = make();
      uploader._opts.url = "/held/200?X-Progress-ID=" + window.key;
      return window.key;
    };
    this.setPctBox(document.getElementById("percent"));
  },
  onProgress(percent) { document.getElementById("percent").textContent = percent + "%"; },
  onComplete(name, answer) { document.getElementById("answer").textContent = answer; },
});
</script>
"""

#: More than what is on its way to a backend that takes nothing.
SIZE = 30_000_000

#: A share that is neither nothing nor all.
PART = re.compile(r"^(0\.[1-9]|[1-9]\d?(\.\d)?)%$")


def open_client(
    open_page: Callable[..., Page], playground: Playground, body: str, library: bytes
) -> Page:
    playground.pages["/"] = page_of(body)
    playground.scripts["/library.js"] = library
    # They evaluate what they get, and load scripts from where they are told.
    playground.policy = "default-src * data: 'unsafe-inline' 'unsafe-eval'"
    return open_page(playground.url)


def upload(page: Page, playground: Playground, file: Path) -> None:
    """Send a file through a form, and see what the page tells of it."""
    page.locator("input[type=file]").set_input_files(str(file))
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#state")).to_have_text("uploading")
    expect(page.locator("#percent")).to_have_text(PART)
    playground.gate.set()
    expect(page.locator("#state")).to_have_text("done")


@pytest.mark.parametrize(
    ("show", "data_type"),
    [
        ("nginx.json", "json"),
        ("apache", "json"),
        ("nginx", "jsonp"),
        ("apache", "jsonp"),
    ],
)
def test_jquery(
    open_page: Callable[..., Page],
    tracked_playground: Playground,
    packages: Path,
    tmp_path: Path,
    show: str,
    data_type: str,
) -> None:
    """With ``jsonp`` the poll goes to another host, so that jQuery loads a script for each."""
    url = f"/{show}"
    if data_type == "jsonp":
        url = tracked_playground.url.replace("127.0.0.1", ELSEWHERE) + show
    body = FORM + JQUERY_PAGE % (url, data_type)
    page = open_client(open_page, tracked_playground, body, JQUERY.find(packages))
    upload(page, tracked_playground, make_file(tmp_path / "film.mkv", SIZE))


@pytest.mark.parametrize("show", ["nginx", "nginx.java", "apache"])
def test_prototype(
    open_page: Callable[..., Page], tracked_playground: Playground, tmp_path: Path, show: str
) -> None:
    body = FORM + PROTOTYPE_PAGE % f"/{show}"
    page = open_client(open_page, tracked_playground, body, PROTOTYPE.read_bytes())
    upload(page, tracked_playground, make_file(tmp_path / "film.mkv", SIZE))


def test_simple_ajax_uploader(
    open_page: Callable[..., Page], tracked_playground: Playground, packages: Path, tmp_path: Path
) -> None:
    library = SIMPLE_AJAX_UPLOADER.find(packages)
    page = open_client(open_page, tracked_playground, UPLOADER_PAGE, library)
    page.locator("input[type=file]").set_input_files(str(make_file(tmp_path / "film.mkv", SIZE)))
    page.wait_for_function(
        "async () => window.poll && window.key && (await (await fetch("
        "'/progress?X-Progress-ID=' + window.key)).json()).received > 1_000_000"
    )
    page.evaluate("window.poll()")
    expect(page.locator("#percent")).to_have_text(PART)
    tracked_playground.gate.set()
    expect(page.locator("#answer")).to_contain_text("This is what the server says.")
