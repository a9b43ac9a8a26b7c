/** What the uploads of the page come to, in a bar of its own and in the title of the window. */

const TITLE = document.title;

/** Milliseconds for which news is collected before it is drawn. */
const PACE = 100;

/**
 * The uploads since nothing was left to do the last time. What failed or was cancelled does not count.
 *
 * Where there are several, this bar speaks to screen readers; a single one speaks itself.
 */
export class Totals {
  #section;
  #bar;
  #bars = new Map();
  #timer = null;

  /** Show them in the element `section`, which has a `transfer-progress`. */
  constructor(section) {
    this.#section = section;
    this.#bar = section.querySelector("transfer-progress");
  }

  /** Whether an upload runs or waits. */
  get busy() {
    return [...this.#bars.keys()].some((upload) => !upload.over);
  }

  /** Count an upload from now on; `bar` is its own. */
  add(upload, bar) {
    if (!this.busy) this.#begin();
    this.#bars.set(upload, bar);
    for (const each of this.#bars.values()) each.toggleAttribute("quiet", this.#bars.size > 1);
    upload.addEventListener("change", () => {
      this.#timer ??= setTimeout(() => this.#draw(), PACE);
    });
    this.#draw();
  }

  /** Cancel all that run or wait. */
  cancel() {
    // The last first: else each one that ends would let another begin.
    for (const upload of [...this.#bars.keys()].reverse()) if (!upload.over) upload.cancel();
  }

  #begin() {
    this.#bars.clear();
    const fresh = this.#bar.cloneNode();
    this.#bar.replaceWith(fresh);
    this.#bar = fresh;
  }

  #draw() {
    this.#timer = null;
    const uploads = [...this.#bars.keys()].filter(({ state }) => state !== "failed");
    const saved = uploads.filter(({ state }) => state === "saved").length;
    const count = `${saved} of ${uploads.length}`;
    const received = sum(uploads.map((upload) => upload.received));
    const size = sum(uploads.map(({ file }) => file.size));
    this.#section.hidden = this.#bars.size < 2 || !uploads.length;
    this.#section.querySelector("button").hidden = !this.busy;
    this.#bar.setAttribute("label", `${count} files saved`);
    this.#bar.update({
      state: this.busy ? "running" : "done",
      received,
      request_size: size,
      sent: 0,
      response_size: 0,
    });
    const percent = size ? `${Math.floor((100 * received) / size)}%` : count;
    document.title = this.busy ? `${percent} · ${count} · ${TITLE}` : TITLE;
  }
}

function sum(sizes) {
  return sizes.reduce((total, each) => total + each, 0);
}
