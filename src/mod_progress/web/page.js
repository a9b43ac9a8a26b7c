/** The upload page: what is chosen or dropped, the queue, and the address. */

import { UploadFailure, freshIdentifier, upload, watch } from "./progress.js";
import { Row } from "./row.js";
import { size } from "./words.js";

/** Relative to the page, which may be served below any path. */
const UPLOAD = "upload";
const SHOW = "progress";

/**
 * Uploads at a time. A browser opens six connections to a server, shared by all of its tabs: two
 * tabs may upload, and there is room to ask for the progress.
 */
const AT_ONCE = 2;

/** Announcements that are kept for people who read back. */
const NEWS_KEPT = 20;

const form = document.querySelector("form");
const picker = document.getElementById("files");
const uploads = document.querySelector("#uploads ul");
const shared = document.querySelector("#shared ul");
const news = document.getElementById("news");

const queue = [];
let running = 0;

picker.addEventListener("change", () => {
  add(picker.files);
  picker.value = ""; // so that the same file can be chosen again
});

// Anywhere on the page: a file dropped beside the zone would replace the page, and cut its uploads.
for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.classList.toggle("over", type === "dragover");
    if (type === "drop") add(event.dataTransfer.files);
  });
}

addEventListener("beforeunload", (event) => {
  if (running) event.preventDefault();
});

addEventListener("hashchange", watchShared);
watchShared();

/** Upload each of `files` as soon as its turn comes. */
function add(files) {
  for (const file of files) enqueue(file, new Row(uploads, file.name, announce));
}

function enqueue(file, row) {
  const identifier = freshIdentifier();
  const cancelling = new AbortController();
  row.wait(size(file.size));
  row.offer({
    share: async () => {
      await copy(linkTo(identifier, file.name));
      row.mark("share");
    },
    cancel: () => {
      cancelling.abort();
      if (withdraw(attempt)) end(row, file, new UploadFailure("cancelled"));
    },
  });
  const attempt = () => send(file, row, identifier, cancelling.signal);
  queue.push(attempt);
  advance();
}

/** Take an attempt out of the queue; return whether it was there. */
function withdraw(attempt) {
  const place = queue.indexOf(attempt);
  if (place >= 0) queue.splice(place, 1);
  return place >= 0;
}

/** Start what may start. */
function advance() {
  while (running < AT_ONCE && queue.length) {
    running += 1;
    queue.shift()().finally(() => {
      running -= 1;
      advance();
    });
  }
}

async function send(file, row, identifier, signal) {
  try {
    const response = await upload(`${UPLOAD}/${encodeURIComponent(file.name)}`, file, {
      identifier,
      method: "PUT",
      show: SHOW,
      signal,
      report: (snapshot) => {
        // How it ended is for the response to say: it knows more. "unknown" is "not there yet".
        if (["running", "unreachable"].includes(snapshot.state)) row.show(snapshot);
      },
    });
    const { files } = await response.json().catch(() => {
      throw new UploadFailure("lost");
    });
    row.offer({});
    row.finish(`${size(file.size)} saved as ${files[0].name}`);
  } catch (error) {
    if (!(error instanceof UploadFailure)) throw error;
    end(row, file, error);
  }
}

/** The upload failed, and may be tried again. */
function end(row, file, failure) {
  row.offer({ retry: () => enqueue(file, row) });
  row.fail(failure);
}

/** Return the address at which anybody sees the bar of a transfer. */
function linkTo(identifier, name) {
  const address = new URL(location);
  // The fragment stays out of logs and referrers: the id is a secret of those who share it.
  address.hash = new URLSearchParams({ id: identifier, name });
  return address.href;
}

async function copy(link) {
  try {
    await navigator.clipboard.writeText(link);
    announce("Link copied.");
  } catch {
    // No clipboard without https, or without leave.
    prompt("The link to this bar:", link);
  }
}

/** Show the bar of the transfer that the address names, if it does. */
async function watchShared() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const identifier = parameters.get("id");
  if (!identifier) return;
  const row = new Row(shared, parameters.get("name") || identifier, announce);
  row.offer({});
  row.wait("");
  for await (const snapshot of watch(identifier, { show: SHOW })) row.show(snapshot);
}

/** Tell those who listen. */
function announce(what) {
  const line = document.createElement("p");
  line.textContent = what;
  news.append(line);
  while (news.childElementCount > NEWS_KEPT) news.firstElementChild.remove();
}
