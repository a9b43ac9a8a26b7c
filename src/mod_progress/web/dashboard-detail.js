/** All that is known of one transfer, in a dialog that stays up to date. */

import { speed } from "./dashboard-transfers.js";
import { duration, size } from "./progress.js";

export class Detail {
  #dialog;
  #transfer = null;

  constructor(dialog) {
    this.#dialog = dialog;
  }

  open(transfer) {
    this.#transfer = transfer;
    this.draw();
    this.#dialog.showModal();
  }

  /** Draw what has changed. */
  draw() {
    const transfer = this.#transfer;
    if (!transfer) return;
    const { entry } = transfer;
    this.#dialog.querySelector("h2").textContent = `${entry.method} ${entry.path}`;
    const started = new Date(transfer.started);
    const facts = {
      Id: entry.id,
      State: transfer.state,
      Status: entry.status || "none yet",
      Direction: entry.direction,
      Peer: entry.peer || "unknown",
      Started: entry.started ? started.toLocaleString("en", DATE) : "unknown",
      Age: duration(transfer.age),
      Received: amount(entry.received, entry.request_size),
      Sent: amount(entry.sent, entry.response_size),
      "Rate now": transfer.rate === null ? "–" : speed(transfer.rate),
      "Rate on average": entry.rate === null ? "–" : speed(entry.rate),
      "Time left": transfer.secondsLeft === null ? "–" : duration(transfer.secondsLeft),
    };
    const list = this.#dialog.querySelector("dl");
    list.replaceChildren(...Object.entries(facts).flatMap(([name, value]) => pair(name, value)));
  }
}

const DATE = { dateStyle: "medium", timeStyle: "medium" };

function amount(bytes, total) {
  const whole = total === null ? "an unknown size" : exact(total);
  return `${exact(bytes)} of ${whole}`;
}

function exact(bytes) {
  return bytes < 1000 ? size(bytes) : `${size(bytes)} (${bytes.toLocaleString("en")})`;
}

function pair(name, value) {
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  term.textContent = name;
  description.textContent = value;
  description.dir = "auto";
  return [term, description];
}
