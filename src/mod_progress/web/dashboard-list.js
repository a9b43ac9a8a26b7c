/** The rows: of thousands, only those in view are in the document. */

import { isCancellable } from "./dashboard-cancel.js";
import { speed } from "./dashboard-transfers.js";
import { duration, size } from "./progress.js";

/** Rows beside those in view, so that none is missing while people scroll. */
const SPARE = 6;

/** What each column has: by what it is sorted, what comes first at the first click, and its text. */
export const COLUMNS = {
  direction: {
    label: "Direction",
    value: ({ direction }) => direction,
    text: ({ upload }) => (upload ? "↑ Upload" : "↓ Download"),
  },
  peer: {
    label: "Peer",
    value: ({ entry }) => entry.peer,
    text: ({ entry }) => entry.peer,
  },
  path: {
    label: "Path",
    value: ({ entry }) => entry.path,
    text: ({ entry }) => entry.path,
  },
  progress: {
    label: "Progress",
    value: ({ share }) => share,
    reverse: true,
    text: progressText,
  },
  rate: {
    label: "Rate",
    value: ({ rate }) => rate,
    reverse: true,
    text: ({ rate }) => (rate === null ? "" : speed(rate)),
  },
  left: {
    label: "Left",
    value: ({ secondsLeft }) => secondsLeft,
    text: ({ secondsLeft }) => (secondsLeft === null ? "" : duration(secondsLeft)),
  },
  age: {
    label: "Age",
    value: ({ age }) => age,
    text: ({ age }) => (Number.isNaN(age) ? "" : duration(age)),
  },
  state: {
    label: "State",
    value: ({ stateOrder }) => stateOrder,
    text: ({ state }) => state,
  },
};

function progressText({ amount, total, share }) {
  if (share === null) return size(amount);
  return total ? `${Math.floor(100 * share)}% of ${size(total)}` : "100%";
}

export class List {
  #grid;
  #rows;
  #head;
  #open;
  #cancel;
  #cancels = false;
  #transfers = [];
  #active = null;
  #slots = [];
  #height = 0;

  /**
   * Show rows in the element `grid`. `open` is called with the transfer that people choose, `cancel`
   * with the one that they want to cancel.
   */
  constructor(grid, open, cancel) {
    this.#grid = grid;
    this.#head = grid.querySelector("#head");
    this.#rows = grid.querySelector("#rows");
    this.#open = open;
    this.#cancel = cancel;
    this.#rows.addEventListener("click", ({ target }) => this.#click(target));
    const redraw = () => requestAnimationFrame(() => this.draw());
    addEventListener("scroll", redraw, { passive: true });
    addEventListener("resize", redraw);
    // Also where a font comes late, or what is above the rows grows.
    new ResizeObserver(redraw).observe(document.body);
  }

  get transfers() {
    return this.#transfers;
  }

  /** Show these transfers, in this order; `cancels` is whether people may cancel them. */
  show(transfers, cancels) {
    this.#transfers = transfers;
    this.#cancels = cancels;
    this.#grid.toggleAttribute("data-cancels", cancels);
    this.#grid.setAttribute("aria-rowcount", transfers.length + 1);
    this.draw();
  }

  /** Draw the rows in view. */
  draw() {
    const { length } = this.#transfers;
    if (length) this.#measure();
    this.#rows.style.blockSize = `${length * this.#height}px`;
    const { top } = this.#rows.getBoundingClientRect();
    const first = Math.max(0, Math.floor(-top / this.#height) - SPARE);
    const end = Math.min(length, Math.ceil((innerHeight - top) / this.#height) + SPARE);
    const shown = length ? this.#transfers.slice(first, Math.max(first, end)) : [];
    while (this.#slots.length > shown.length) this.#slots.pop().element.remove();
    while (this.#slots.length < shown.length) this.#addSlot();
    shown.forEach((transfer, index) => this.#fill(this.#slots[index], transfer, first + index));
    const active = this.#slots.find(({ transfer }) => transfer === this.#active);
    if (active) this.#grid.setAttribute("aria-activedescendant", active.element.id);
    else this.#grid.removeAttribute("aria-activedescendant");
  }

  /** Choose the transfer so many rows further, and bring it into view. */
  move(count) {
    const { length } = this.#transfers;
    if (!length) return;
    // It is -1 where none is chosen: one further is the first.
    const index = this.#transfers.indexOf(this.#active);
    const next = Math.min(length - 1, Math.max(0, index + count));
    this.#active = this.#transfers[next];
    const top = this.#rows.getBoundingClientRect().top + next * this.#height;
    const covered = this.#head.offsetHeight;
    const below = top + this.#height - innerHeight;
    if (top < covered) scrollBy(0, top - covered);
    else if (below > 0) scrollBy(0, below);
    this.draw();
  }

  /** How many rows fit into the window. */
  get perWindow() {
    return Math.max(1, Math.floor((innerHeight - this.#head.offsetHeight) / this.#height));
  }

  /** Open the chosen transfer. */
  openActive() {
    if (this.#transfers.includes(this.#active)) this.#open(this.#active);
  }

  /** Cancel the chosen transfer, where that can be. */
  cancelActive() {
    const active = this.#transfers.includes(this.#active) ? this.#active : null;
    if (active && this.#cancels && isCancellable(active)) this.#cancel(active);
  }

  #click(target) {
    const clicked = target.closest("[role=row]");
    const slot = this.#slots.find(({ element }) => element === clicked);
    if (!slot) return;
    this.#active = slot.transfer;
    this.draw();
    if (target.closest("button")) this.cancelActive();
    else this.#open(slot.transfer);
  }

  #measure() {
    if (!this.#slots.length) this.#addSlot();
    this.#height = this.#slots[0].element.getBoundingClientRect().height;
  }

  #addSlot() {
    const row = element("div", "row");
    const texts = {};
    for (const name of Object.keys(COLUMNS)) {
      const cell = element("div", "gridcell");
      cell.className = name;
      texts[name] = cell.appendChild(document.createElement("bdi"));
      row.append(cell);
    }
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", COLUMNS.progress.label);
    texts.progress.before(bar);
    texts.path.dir = "ltr";
    const button = cancelButton();
    row.append(button.parentElement);
    this.#rows.append(row);
    this.#slots.push({ element: row, texts, bar, button });
  }

  #fill(slot, transfer, index) {
    const { element: row, texts, bar, button } = slot;
    slot.transfer = transfer;
    row.id = `row-${index}`;
    row.setAttribute("aria-rowindex", index + 2);
    row.setAttribute("aria-selected", transfer === this.#active);
    row.dataset.state = transfer.entry.state;
    row.style.insetBlockStart = `${index * this.#height}px`;
    for (const [name, { text }] of Object.entries(COLUMNS)) setText(texts[name], text(transfer));
    texts.path.title = transfer.entry.path;
    button.hidden = !isCancellable(transfer);
    button.setAttribute("aria-label", `Cancel ${transfer.entry.path}`);
    if (transfer.share === null) bar.removeAttribute("value");
    else bar.value = transfer.share;
  }
}

function element(name, role) {
  const made = document.createElement(name);
  made.setAttribute("role", role);
  return made;
}

/** Return a button in a cell. The keys work on the rows, so they do not stop at it. */
function cancelButton() {
  const cell = element("div", "gridcell");
  cell.className = "cancel";
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  button.textContent = "Cancel";
  cell.append(button);
  return button;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
