/** One transfer's row in the page: its picture, its bar, and what can be done with it. */

import "./progress.js";

export class Row {
  #row = document.getElementById("row").content.firstElementChild.cloneNode(true);
  #buttons = this.#row.querySelectorAll("button");

  /** The `transfer-progress` of the row. */
  bar = this.#row.querySelector("transfer-progress");

  /** Append a row to the list `ul`. */
  constructor(ul, name) {
    this.bar.setAttribute("label", name);
    for (const button of this.#buttons) {
      button.setAttribute("aria-label", `${button.textContent}: ${name}`);
    }
    ul.append(this.#row);
    ul.closest("section").hidden = false;
  }

  /** Offer what can be done now: functions by the class of their buttons. */
  offer(actions) {
    const focused = document.activeElement;
    for (const button of this.#buttons) {
      button.onclick = actions[button.className];
      button.hidden = !button.onclick;
      delete button.dataset.marked;
    }
    if (focused.hidden && this.#row.contains(focused)) this.#row.focus();
  }

  /** Mark what was offered as done. */
  mark(action) {
    this.#row.querySelector(`.${action}`).dataset.marked = "";
  }

  /** Show nothing, or from then on the transfer with that id. */
  watch(identifier) {
    this.bar.setAttribute("for-id", identifier ?? "");
    this.say({});
  }

  /** Say something else than the bar does: texts and elements for its `status` and `detail`. */
  say({ status = [], detail = [] }) {
    for (const [slot, content] of Object.entries({ status, detail })) {
      this.bar.querySelector(`[slot="${slot}"]`)?.remove();
      if (!content.length) continue;
      const words = document.createElement("span");
      words.slot = slot;
      words.append(...content);
      this.bar.append(words);
    }
  }

  /** Put a picture before the bar. */
  illustrate(picture) {
    this.#row.prepend(picture);
  }
}
