/** The dashboard: shows all transfers, as the server pushes them (docs/dashboard.md). */

import { Cancel } from "./dashboard-cancel.js";
import { Chart } from "./dashboard-chart.js";
import { Detail } from "./dashboard-detail.js";
import { save, toCsv, toJson } from "./dashboard-export.js";
import { COLUMNS, List } from "./dashboard-list.js";
import { Live } from "./dashboard-live.js";
import { MOST_ROWS, Source, SourceError } from "./dashboard-source.js";
import { Transfers, filtered, sorted, speed } from "./dashboard-transfers.js";

/** Milliseconds between two questions, and after one that failed. */
const PACE = 1000;
const FAILED_PACE = 2000;

const find = (id) => document.getElementById(id);

const source = new Source();
const transfers = new Transfers();
const chart = new Chart(find("chart"), find("peak"));
const detail = new Detail(find("detail"));
const cancel = new Cancel(find("cancel"), find("outcome"));
const list = new List(
  find("grid"),
  (transfer) => detail.open(transfer),
  (transfer) => cancel.ask(transfer),
);
const live = new Live({ news: show, trouble: sayTrouble, lost: () => wake() });

let column = "state";
let reverse = false;
let paused = false;
let cancels = false;
let wake = () => {};

/** Follow the stream while the page is visible and not paused. Without one, ask again and again. */
async function run() {
  for (;;) {
    if (paused || document.hidden) live.close();
    const asks = !paused && !document.hidden && !live.follow();
    const began = performance.now();
    const failed = asks && !(await refresh());
    // A list that takes long to make is asked for less often.
    const took = performance.now() - began;
    await rest(asks ? (failed ? FAILED_PACE : Math.max(PACE, took)) : Infinity);
  }
}

function rest(milliseconds) {
  return new Promise((resolve) => {
    wake = resolve;
    if (milliseconds < Infinity) setTimeout(resolve, milliseconds);
  });
}

/** Ask for the list; return whether it worked. */
async function refresh() {
  try {
    show(await source.load());
    return true;
  } catch (error) {
    if (!(error instanceof SourceError)) reportError(error);
    sayTrouble(error.message);
    return false;
  }
}

/** Show what `Source.load` returned, or what was pushed. */
function show(news) {
  transfers.update(news);
  if (paused) return;
  cancels = news.cancels;
  find("cancel-key").hidden = !cancels;
  say("Live");
  drawTotals();
  drawRows();
  detail.draw();
}

function sayTrouble(problem) {
  say(`${problem}. It is asked again.`);
}

function say(text) {
  const news = find("news");
  if (news.textContent !== text) news.textContent = text;
}

function drawTotals() {
  const { running = 0, done = 0, error = 0 } = transfers.states;
  const texts = { running, done, failed: error };
  for (const [id, count] of Object.entries(texts)) find(id).textContent = count.toLocaleString("en");
  const { rateIn, rateOut } = transfers;
  if (rateIn === null) return;
  find("in").textContent = speed(rateIn);
  find("out").textContent = speed(rateOut);
  chart.note(rateIn, rateOut);
}

function drawRows() {
  const all = transfers.all;
  const chosen = filtered(all, find("filter").value, find("state").value);
  list.show(sorted(chosen, COLUMNS[column].value, reverse), cancels);
  const missing = transfers.total - all.length;
  const of = chosen.length < all.length ? ` of ${all.length.toLocaleString("en")}` : "";
  const more = missing > 0 && all.length >= MOST_ROWS ? `; ${missing.toLocaleString("en")} more` : "";
  const noun = all.length === 1 ? "transfer" : "transfers";
  find("count").textContent = `${chosen.length.toLocaleString("en")}${of} ${noun}${more}`;
  const empty = find("empty");
  empty.hidden = chosen.length > 0;
  empty.textContent = all.length ? "No transfer fits the filter." : "There are no transfers now.";
}

function drawHead() {
  const row = find("head").firstElementChild;
  for (const [name, { label, reverse: reversed = false }] of Object.entries(COLUMNS)) {
    const cell = document.createElement("div");
    cell.setAttribute("role", "columnheader");
    cell.className = name;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => {
      reverse = column === name ? !reverse : reversed;
      column = name;
      markSort();
      drawRows();
    });
    cell.append(button);
    row.append(cell);
  }
  const cell = document.createElement("div");
  cell.setAttribute("role", "columnheader");
  cell.setAttribute("aria-label", "Cancel");
  cell.className = "cancel";
  row.append(cell);
  markSort();
}

function markSort() {
  for (const cell of find("head").querySelectorAll("[role=columnheader]:not(.cancel)")) {
    const sort = cell.className !== column ? "none" : reverse ? "descending" : "ascending";
    cell.setAttribute("aria-sort", sort);
  }
}

function togglePause() {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", paused);
  say(paused ? "Paused" : "Loading …");
  wake();
}

function saveAs(extension, type, convert) {
  const entries = list.transfers.map(({ entry }) => entry);
  save(`transfers.${extension}`, type, convert(entries));
}

/** What the arrow keys and their like do. */
const MOVES = {
  ArrowDown: () => 1,
  ArrowUp: () => -1,
  PageDown: () => list.perWindow,
  PageUp: () => -list.perWindow,
  End: () => list.transfers.length,
  Home: () => -list.transfers.length,
};

function pressed(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if (target.matches("input, select")) return;
  const atRows = target === find("grid") || target === document.body;
  if (key === "/") find("filter").focus();
  else if (key === "p") togglePause();
  else if (key === "c" && atRows) list.cancelActive();
  else if (atRows && MOVES[key]) {
    find("grid").focus({ preventScroll: true });
    list.move(MOVES[key]());
  } else if (target === find("grid") && key === "Enter") list.openActive();
  else return;
  event.preventDefault();
}

drawHead();
document.addEventListener("keydown", pressed);
document.addEventListener("visibilitychange", () => wake());
find("pause").addEventListener("click", togglePause);
find("filter").addEventListener("input", drawRows);
find("filter").addEventListener("keydown", ({ key }) => {
  if (key === "Enter" || key === "Escape") find("grid").focus({ preventScroll: true });
});
find("filters").addEventListener("submit", (event) => event.preventDefault());
find("state").addEventListener("change", drawRows);
find("json").addEventListener("click", () => saveAs("json", "application/json", toJson));
find("csv").addEventListener("click", () => saveAs("csv", "text/csv", toCsv));
run();
