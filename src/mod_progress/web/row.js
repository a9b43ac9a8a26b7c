/** One transfer's row in the page: its name, its bar, what is said of it, what can be done. */

import { Estimate } from "./progress.js";
import { duration, failure, refusal, size } from "./words.js";

/** Seconds of a transfer before its rate and the time left are worth a word. */
const TELLING = 1;

export class Row {
  #parts;
  #news;
  #estimate;
  #started;

  /** Append a row to the list `ul`; what is new goes to `news`, for those who listen. */
  constructor(ul, name, news) {
    const row = document.getElementById("row").content.firstElementChild.cloneNode(true);
    const part = (selector) => row.querySelector(selector);
    this.#parts = {
      row,
      bar: part("progress"),
      headline: part(".headline"),
      detail: part(".detail"),
      buttons: row.querySelectorAll("button"),
    };
    this.#news = news;
    this.name = name;
    part(".name").textContent = name;
    this.#parts.bar.setAttribute("aria-label", name);
    for (const button of this.#parts.buttons) {
      button.setAttribute("aria-label", `${button.textContent}: ${name}`);
    }
    ul.append(row);
    ul.parentElement.hidden = false;
  }

  /** Offer what can be done now: functions by the class of their buttons. */
  offer(actions) {
    const focused = document.activeElement;
    for (const button of this.#parts.buttons) {
      button.onclick = actions[button.className];
      button.hidden = !button.onclick;
      delete button.dataset.marked;
    }
    if (focused.hidden && this.#parts.row.contains(focused)) this.#parts.row.focus();
  }

  /** Mark what was offered as done. */
  mark(action) {
    this.#parts.row.querySelector(`.${action}`).dataset.marked = "";
  }

  /** Nothing moves yet. */
  wait(detail) {
    this.#estimate = new Estimate();
    this.#started = null;
    this.#draw("waiting", "Waiting", detail, { value: 0 });
  }

  /** Show what the server said. */
  show(snapshot) {
    const act = {
      running: () => this.#run(snapshot),
      done: () => this.finish(`${size(snapshot.received)} received`),
      error: () => this.#endInError(snapshot.status),
      unknown: () => this.#unknown(),
      unreachable: () => this.#draw("unreachable", "No contact", "The server does not answer."),
    }[snapshot.state];
    act();
  }

  /** The transfer is done. */
  finish(detail) {
    const time = this.#started === null ? "" : ` in ${duration(this.#elapsed)}`;
    this.#draw("done", "Done", detail + time, { value: 1 });
    this.#announce("done");
  }

  /** The upload failed, with an `UploadFailure`. */
  fail(error) {
    const cancelled = error.reason === "cancelled";
    this.#end(cancelled ? "Cancelled" : "Failed", failure(error));
  }

  #endInError(status) {
    this.#end("Failed", status ? `Refused: ${refusal(status)}.` : "The transfer was cut off.");
  }

  #end(headline, detail) {
    this.#draw("failed", headline, detail);
    this.#announce(`${headline.toLowerCase()}. ${detail}`);
  }

  #unknown() {
    if (this.#started === null) {
      this.#draw("waiting", "Waiting", "Nothing is known of it: not started yet, or long over.");
    } else {
      this.#end("Over", "It ended; how is no longer known.");
    }
  }

  #run({ received, request_size: total }) {
    if (this.#started === null) {
      this.#started = performance.now();
      this.#announce("uploading");
    }
    this.#estimate.note(received);
    if (received === total) {
      const detail = `All ${size(total)} received; the server is still at work`;
      this.#draw("processing", "Processing", detail, { value: 1 });
    } else if (total === null) {
      this.#draw("uploading", "Uploading", this.#detail(size(received), null), { value: null });
    } else {
      const value = received / total;
      const percent = `${Math.floor(100 * value)}%`;
      const amount = `${size(received)} of ${size(total)}`;
      this.#draw("uploading", percent, this.#detail(amount, total), { value });
    }
  }

  /** Return how much there is, how fast it goes, and what time is left. */
  #detail(amount, total) {
    const { rate } = this.#estimate;
    const parts = [amount];
    if (rate !== null && this.#elapsed >= TELLING) {
      parts.push(size(rate, "second"));
      const seconds = this.#estimate.secondsTo(total);
      if (seconds !== null) parts.push(`${duration(seconds)} left`);
    }
    return parts.join(" · ");
  }

  /** Seconds since the server first knew of it. */
  get #elapsed() {
    return (performance.now() - this.#started) / 1000;
  }

  /** Draw the row. `value` is 0 to 1, or null where nobody knows; without it the bar stays. */
  #draw(state, headline, detail, { value } = {}) {
    const { row, bar } = this.#parts;
    row.dataset.state = state;
    this.#parts.headline.textContent = headline;
    this.#parts.detail.textContent = detail;
    if (value === null) bar.removeAttribute("value");
    else if (value !== undefined) bar.value = value;
    bar.setAttribute("aria-valuetext", `${headline}, ${detail}`);
  }

  #announce(what) {
    this.#news(`${this.name}: ${what}`);
  }
}
