/** The list of all transfers as the server pushes it: a stream of what has changed. */

import { MOST_ROWS, timeOffset } from "./dashboard-source.js";

const ADDRESS = `dump?sort=state&limit=${MOST_ROWS}`;

/**
 * Milliseconds without an event until the stream is given up: the server sends one at least every 5
 * seconds. A proxy that holds it back lets none through.
 */
const SILENCE = 10_000;

/** Until it is given up where the connection broke. The server ends it each minute, and it resumes. */
const RESUMED = 5000;

/** Until one that was given up is tried again. */
const RETRY = 30_000;

/** After which the page is told the same again: the ages of the transfers go on. */
const STILL = 1500;

export class Live {
  #listener;
  #stream = null;
  /** Whether it was given up, and has told nothing since. */
  #distrusted = false;
  #retryAt = 0;
  #watchdog = null;
  #still = null;
  /** What the stream has told: the rows by their numbers, and the rest. */
  #rows = new Map();
  #told = null;

  /**
   * `listener.news` is called with what `Source.load` returns too, `listener.trouble` with words for
   * people, and `listener.lost` where the server has to be asked.
   */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Open the stream, if it is time to; return whether the server need not be asked. */
  follow() {
    if (!this.#stream && performance.now() >= this.#retryAt) this.#open();
    return this.#stream !== null && !this.#distrusted;
  }

  close() {
    this.#stream?.close();
    this.#stream = null;
    this.#told = null;
    clearTimeout(this.#watchdog);
    clearTimeout(this.#still);
  }

  #open() {
    const stream = new EventSource(new URL(ADDRESS, document.baseURI));
    this.#stream = stream;
    this.#expect(SILENCE);
    stream.addEventListener("list", ({ data }) => this.#take(JSON.parse(data), new Map()));
    stream.addEventListener("changes", ({ data }) => this.#take(JSON.parse(data), this.#rows));
    stream.addEventListener("trouble", ({ data }) => {
      this.#expect(SILENCE);
      this.#listener.trouble(JSON.parse(data).error);
    });
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) this.#giveUp();
      else this.#expect(RESUMED);
    };
  }

  #take({ rows, gone, ...told }, known) {
    for (const [number, members] of Object.entries(rows)) {
      // A new object: the one before tells how far the transfer was.
      known.set(number, { ...known.get(number), ...members });
    }
    for (const number of gone) known.delete(String(number));
    this.#rows = known;
    this.#told = { ...this.#told, ...told, offset: timeOffset(Date.parse(told.now)) };
    this.#distrusted = false;
    this.#expect(SILENCE);
    this.#tell();
  }

  #tell() {
    clearTimeout(this.#still);
    this.#still = setTimeout(() => this.#tell(), STILL);
    const { states, total, cancel, offset } = this.#told;
    const entries = [...this.#rows.values()];
    this.#listener.news({ entries, states, total, cancels: cancel, now: Date.now() + offset });
  }

  #expect(milliseconds) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#giveUp(), milliseconds);
  }

  #giveUp() {
    this.close();
    this.#distrusted = true;
    this.#retryAt = performance.now() + RETRY;
    this.#listener.lost();
  }
}
