/** The uploads of the page: some run, the others wait for their turn. */

import { ask, freshIdentifier, withIdentifier } from "./progress.js";
import { UploadFailure, cancel, upload } from "./progress-upload.js";

/**
 * Uploads at a time. A browser opens six connections to a server, for all of its tabs: two tabs may
 * upload, and there is room to ask for the progress.
 */
const AT_ONCE = 2;

/** Times that an upload is tried again where the server is there but the connection broke. */
const TRIES = 3;

/** Milliseconds between two questions whether a lost server is back: at first, and at most. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 4000;

/** One file on its way to the server. It dispatches "change" whenever something of it changes. */
export class Upload extends EventTarget {
  /** Whether the server lets owners cancel, as far as it is known. */
  static #serverCancels = true;

  /** @type {"waiting"|"running"|"lost"|"saved"|"failed"} */
  state = "waiting";
  identifier = freshIdentifier();
  /** Bytes that the server has. */
  received = 0;
  /** Of a saved one: its name, its URL where it has one, and the seconds that it took. */
  saved = null;
  /** Of a failed one: its `UploadFailure`. */
  failure = null;
  #cancelling = new AbortController();

  /** A file, its path below the folder that was chosen, and where the page sends and asks. */
  constructor(file, path, { target, show }) {
    super();
    Object.assign(this, { file, path, target, show });
  }

  get over() {
    return this.state === "saved" || this.state === "failed";
  }

  /** End it here, and at the server: a proxy in between may keep that waiting for the rest. */
  cancel() {
    if (this.received && Upload.#serverCancels) this.#cancelAtServer();
    this.#cancelling.abort();
    if (this.state === "waiting") this.#fail(new UploadFailure("cancelled"));
  }

  async #cancelAtServer() {
    const status = await cancel(this.identifier, { show: this.show });
    // It is not asked again, as a browser reports each refusal in its console.
    if (status === 405) Upload.#serverCancels = false;
  }

  /** Send it until it is saved or has failed. A server that is gone is waited for. */
  async run() {
    for (let tries = 1; !this.over; tries += 1) {
      try {
        await this.#send();
      } catch (error) {
        if (!(error instanceof UploadFailure)) throw error;
        if (error.reason !== "lost") return this.#fail(error);
        const waited = await this.#waitForServer();
        if (this.#cancelling.signal.aborted) return this.#fail(new UploadFailure("cancelled"));
        if (waited) tries = 0;
        else if (tries > TRIES) return this.#fail(error);
      }
    }
  }

  async #send() {
    const began = performance.now();
    this.#change({ state: "running", received: 0 });
    const path = this.path.split("/").map(encodeURIComponent).join("/");
    const response = await upload(`${this.target}/${path}`, this.file, {
      identifier: this.identifier,
      method: "PUT",
      show: this.show,
      signal: this.#cancelling.signal,
      report: ({ received }) => received && this.#change({ received }),
    });
    const { files } = await response.json().catch(() => {
      throw new UploadFailure("lost");
    });
    const location = response.headers.get("Location");
    const url = location && new URL(location, response.url).href;
    const seconds = (performance.now() - began) / 1000;
    this.#change({
      state: "saved",
      received: this.file.size,
      saved: { name: files[0].name, size: this.file.size, url, seconds },
    });
  }

  /** Wait until the server answers; return whether it did not at first. */
  async #waitForServer() {
    this.#change({ state: "lost", received: 0 });
    const { signal } = this.#cancelling;
    let pause = FIRST_PAUSE;
    for (let waited = false; ; waited = true) {
      await sleep(pause, signal);
      if (signal.aborted) return waited;
      const [{ state }] = await ask(withIdentifier(this.show, this.identifier));
      if (state !== "unreachable") return waited;
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  }

  #fail(failure) {
    this.#change({ state: "failed", failure });
  }

  #change(news) {
    Object.assign(this, news);
    this.dispatchEvent(new Event("change"));
  }
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", resolve);
  });
}

/** Runs uploads in turn. */
export class Queue {
  #waiting = [];
  #running = 0;

  /** Run an upload as soon as its turn comes. */
  add(upload) {
    this.#waiting.push(upload);
    this.#advance();
  }

  #advance() {
    while (this.#running < AT_ONCE && this.#waiting.length) {
      const upload = this.#waiting.shift();
      if (upload.over) continue; // it was cancelled
      this.#running += 1;
      upload.run().finally(() => {
        this.#running -= 1;
        this.#advance();
      });
    }
  }
}
