/** The transfers as the dashboard knows them: what the server says, and how fast they are of late. */

import { Estimate, size } from "./progress.js";

/** Milliseconds: one that is new here and started longer ago was just not loaded before. */
const NEW = 10_000;

const STATE_ORDER = { running: 0, error: 1, done: 2 };

export class Transfer {
  #estimate = new Estimate();

  /** `entry` is the server's description, `time` that of this page in milliseconds. */
  constructor(entry, now, time) {
    this.started = Date.parse(entry.started);
    this.update(entry, now, time);
  }

  update(entry, now, time) {
    this.entry = entry;
    this.direction = entry.direction;
    this.upload = entry.direction === "upload";
    this.running = entry.state === "running";
    this.amount = this.upload ? entry.received : entry.sent;
    this.total = this.upload ? entry.request_size : entry.response_size;
    this.share = this.total ? Math.min(1, this.amount / this.total) : entry.state === "done" ? 1 : null;
    this.age = Math.max(0, now - this.started) / 1000;
    if (this.running) this.#estimate.note(this.amount, time);
    const moves = this.running && this.share !== 1;
    this.rate = moves ? (this.#estimate.rate ?? entry.rate) : null;
    this.secondsLeft = moves ? this.#secondsLeft(time) : null;
    this.stateOrder = STATE_ORDER[entry.state];
    this.state = this.#stateInWords();
    const { id, method, path, peer } = entry;
    this.words = `${method} ${path} ${peer} ${id} ${entry.direction} ${this.state}`.toLowerCase();
  }

  #secondsLeft(time) {
    // Of a download of unknown size, response_size is what was produced so far.
    if (!this.total || this.amount >= this.total) return null;
    const known = this.#estimate.secondsTo(this.total, time);
    return known ?? (this.rate > 0 ? (this.total - this.amount) / this.rate : null);
  }

  #stateInWords() {
    const { state, status } = this.entry;
    if (state === "error") return status ? `Failed (${status})` : "Cut off";
    if (state === "done") return "Done";
    return this.upload && this.share === 1 ? "Processing" : "Running";
  }
}

export class Transfers {
  /** Bytes a second that come in and go out, of all transfers; null at first. */
  rateIn = null;
  rateOut = null;
  /** How many running, done and failed ones the server has. */
  states = {};
  total = 0;
  #byKey = new Map();
  #in = new Estimate();
  #out = new Estimate();
  #received = 0;
  #sent = 0;
  #begun = false;

  get all() {
    return [...this.#byKey.values()];
  }

  /** Take in what `Source.load` returned. */
  update({ entries, states, total, now }, time = performance.now()) {
    const found = new Map();
    const counts = new Map();
    for (const entry of entries) {
      const key = keyOf(entry, counts);
      const known = this.#byKey.get(key);
      this.#count(entry, known, now);
      known?.update(entry, now, time);
      found.set(key, known ?? new Transfer(entry, now, time));
    }
    this.#byKey = found;
    this.states = states;
    this.total = total;
    this.#in.note(this.#received, time);
    this.#out.note(this.#sent, time);
    this.rateIn = this.#in.rate;
    this.rateOut = this.#out.rate;
    this.#begun = true;
  }

  /** Add what a transfer has moved since the last time. */
  #count(entry, known, now) {
    if (!known && (!this.#begun || now - Date.parse(entry.started) > NEW)) return;
    const { received = 0, sent = 0 } = known?.entry ?? {};
    this.#received += Math.max(0, entry.received - received);
    this.#sent += Math.max(0, entry.sent - sent);
  }
}

/** What tells one transfer from the others. Its id alone is cut, so several may have the same. */
function keyOf({ id, started, method, path, peer }, counts) {
  const key = JSON.stringify([id, started, method, path, peer]);
  const count = counts.get(key) ?? 0;
  counts.set(key, count + 1);
  return count ? `${key} ${count}` : key;
}

/** Return a rate in bytes a second as a short text. */
export function speed(rate) {
  return rate < 999.5 ? `${Math.round(rate)} B/s` : size(rate, "en", "second");
}

/** Return those of a state ("" for any) whose words have all the words of `text`. */
export function filtered(transfers, text, state) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  return transfers.filter(
    ({ entry, words }) =>
      (!state || entry.state === state) && wanted.every((word) => words.includes(word)),
  );
}

/** Return them by what `valueOf` returns, what has none last; of equal ones the newest first. */
export function sorted(transfers, valueOf, reverse) {
  const collator = new Intl.Collator("en", { numeric: true });
  const factor = reverse ? -1 : 1;
  const compare = (one, other) => {
    const [left, right] = [valueOf(one), valueOf(other)];
    if (left === null || right === null) return (left === null) - (right === null);
    const text = typeof left === "string";
    return factor * (text ? collator.compare(left, right) : left - right);
  };
  return transfers.sort((one, other) => compare(one, other) || other.started - one.started);
}
