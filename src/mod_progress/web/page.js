/** The upload page: what is chosen or dropped, the rows that show it, and the address. */

import { duration, size } from "./progress.js";
import { UploadFailure } from "./progress-upload.js";
import { chosen, dropped } from "./folders.js";
import { pictureAt, pictureOf } from "./picture.js";
import { Queue, Upload } from "./queue.js";
import { Row } from "./row.js";
import { forget, isThere, remember, savedFiles } from "./saved.js";
import { copyLink, watchShared } from "./share.js";
import { Totals } from "./totals.js";
import { failure } from "./words.js";

/** Relative to the page, which may be served below any path. */
const PLACES = { target: "upload", show: "progress" };

/** Announcements that are kept for people who read back. */
const NEWS_KEPT = 20;

const form = document.querySelector("form");
const uploads = document.querySelector("#uploads ul");
const shared = document.querySelector("#shared ul");
const saved = document.querySelector("#saved ul");
const news = document.getElementById("news");
const totals = new Totals(document.getElementById("totals"));
const queue = new Queue();

for (const picker of document.querySelectorAll("input[type=file]")) {
  picker.addEventListener("change", () => {
    for (const each of chosen(picker.files)) add(each);
    picker.value = ""; // so that the same file can be chosen again
  });
}

// On the whole page: a file dropped beside the zone would replace the page, and cut its uploads.
for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.classList.toggle("over", type === "dragover");
    if (type === "drop") addDropped(event.dataTransfer);
  });
}

document.querySelector("#totals button").addEventListener("click", () => totals.cancel());

addEventListener("beforeunload", (event) => {
  if (totals.busy) event.preventDefault();
});

addEventListener("hashchange", showShared);
showShared();
showSaved();

function showShared() {
  watchShared(PLACES.show, (name) => new Row(shared, name));
}

async function addDropped(transfer) {
  for await (const each of dropped(transfer)) add(each);
}

/** Upload a file as soon as its turn comes. */
function add({ file, path }) {
  const row = new Row(uploads, path);
  if (file) enqueue(file, path, row);
  else fail(row, path, new UploadFailure("unreadable"));
}

function enqueue(file, path, row) {
  const upload = new Upload(file, path, PLACES);
  row.watch(null);
  row.say({ detail: [size(file.size)] });
  row.offer({
    share: async () => {
      announce(await copyLink(upload.identifier, path));
      row.mark("share");
    },
    cancel: () => upload.cancel(),
  });
  let state = upload.state;
  upload.addEventListener("change", () => {
    if (state === upload.state) return;
    state = upload.state;
    react(upload, row);
  });
  totals.add(upload, row.bar);
  queue.add(upload);
}

/** Show the new state of an upload. */
function react(upload, row) {
  const { file, path, identifier } = upload;
  ({
    running: () => {
      row.watch(identifier);
      illustrate(row, pictureOf(file));
    },
    lost: () => {
      row.watch(null);
      row.say({
        status: ["No contact"],
        detail: ["The connection was lost. It is tried again by itself."],
      });
    },
    saved: () => finish(row, upload.saved),
    failed: () => {
      row.offer({ retry: () => enqueue(file, path, row) });
      fail(row, path, upload.failure);
    },
  })[upload.state]();
}

function finish(row, saved) {
  const { name, size: bytes, url, seconds } = saved;
  row.offer({});
  row.bar.update({ state: "done", received: bytes, request_size: bytes, sent: 0, response_size: 0 });
  row.say({ detail: [`${size(bytes)} saved as `, link(url, name), ` in ${duration(seconds)}`] });
  if (url) remember(saved);
}

function fail(row, path, problem) {
  const { reason, status } = problem;
  row.bar.update(reason === "cancelled" ? { state: "cancelled" } : { state: "error", status });
  row.say({ detail: [failure(problem)] });
  if (row.bar.hasAttribute("quiet")) announce(`${path}: ${failure(problem)}`);
}

async function illustrate(row, picture) {
  const found = await picture;
  if (found) row.illustrate(found);
}

/** Return a link, or only the name where there is nothing to link to. */
function link(url, name) {
  if (!url) return name;
  const made = document.createElement("a");
  made.href = url;
  made.textContent = name;
  return made;
}

/** Show what this browser saved earlier and the server still has. */
async function showSaved() {
  for (const file of savedFiles()) {
    if (await isThere(file)) listSaved(file);
    else forget(file.url);
  }
}

function listSaved({ name, size: bytes, url }) {
  const item = document.getElementById("saved-item").content.firstElementChild.cloneNode(true);
  const picture = pictureAt(url);
  if (picture) item.prepend(picture);
  item.querySelector(".name").append(link(url, name));
  item.querySelector(".size").append(size(bytes));
  const button = item.querySelector("button");
  button.setAttribute("aria-label", `${button.textContent}: ${name}`);
  button.onclick = () => {
    forget(url);
    item.remove();
    saved.closest("section").hidden = !saved.childElementCount;
  };
  saved.append(item);
  saved.closest("section").hidden = false;
}

/** Tell those who listen. */
function announce(what) {
  const line = document.createElement("p");
  line.textContent = what;
  news.append(line);
  while (news.childElementCount > NEWS_KEPT) news.firstElementChild.remove();
}
