/**
 * A client of mod_progress: upload something, and see how far the server is with it.
 *
 * It needs no page of a certain shape and no build step:
 *
 *     import { upload } from "./progress.js";
 *
 *     const response = await upload("/upload/film.mkv", file, {
 *       report: ({ received, request_size }) => { bar.max = request_size; bar.value = received; },
 *     });
 *
 * @typedef {object} Snapshot what the server said of a transfer, in its own words
 * @property {"running"|"done"|"error"|"unknown"|"unreachable"} state
 *   "unreachable" is this client's word: there was no answer, it asks again
 * @property {number} [received] bytes of the request's body that the server has
 * @property {?number} [request_size] all of them; null while nobody knows
 * @property {number} [sent] bytes of the response's body that the client has
 * @property {number} [response_size] all of them, or those produced so far
 * @property {number} [status] of an "error": the response's status, 0 where the transfer was cut
 */

/** Milliseconds from one answer to the next question, while the page is visible, and hidden. */
const PACE = 250;
const HIDDEN_PACE = 2000;

/** The longest pause, in milliseconds, where there is nothing to see, or no answer. */
const LONGEST_PAUSE = 4000;

/** Milliseconds after which an answer is no longer waited for. */
const PATIENCE = 10_000;

/** Return an id that nobody can guess: whoever knows it may look. */
export function freshIdentifier() {
  // randomUUID exists in secure contexts alone, so by plain http from localhost alone.
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return `url`, relative to the page, with the id as its query parameter. */
function withIdentifier(url, identifier) {
  const address = new URL(url, document.baseURI);
  address.searchParams.set("X-Progress-ID", identifier);
  return address;
}

/** Ask once how far a transfer is; return a Snapshot. */
export async function ask(identifier, { show = "/progress", signal } = {}) {
  const patience = AbortSignal.timeout(PATIENCE);
  try {
    const response = await fetch(withIdentifier(show, identifier), {
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
    return response.ok ? await response.json() : { state: "unreachable" };
  } catch {
    return { state: "unreachable" };
  }
}

/**
 * Yield one Snapshot of a transfer after the other, one question at a time.
 *
 * It ends with a transfer's "done" or "error", with "unknown" where it was known before, or when
 * `signal` aborts. A transfer that is not known yet is waited for.
 */
export async function* watch(identifier, { show, signal } = {}) {
  let seen = false;
  let pause = PACE;
  while (!signal?.aborted) {
    const snapshot = await ask(identifier, { show, signal });
    if (signal?.aborted) return;
    yield snapshot;
    if (snapshot.state === "running") {
      seen = true;
      pause = PACE;
    } else if (snapshot.state === "unreachable" || (snapshot.state === "unknown" && !seen)) {
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    } else {
      return;
    }
    await sleep(document.hidden ? Math.max(pause, HIDDEN_PACE) : pause, signal);
  }
}

/** Wait so many milliseconds; less if `signal` aborts, or the page is shown or hidden. */
function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const awake = new AbortController();
    const wake = () => {
      clearTimeout(timer);
      awake.abort();
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    signal?.addEventListener("abort", wake, { signal: awake.signal });
    document.addEventListener("visibilitychange", wake, { signal: awake.signal });
  });
}

/** Why an upload failed. */
export class UploadFailure extends Error {
  /**
   * @param {"refused"|"lost"|"cancelled"|"unreadable"} reason "lost": the connection broke;
   *   "unreadable": the file is gone, has changed since it was chosen, or is a folder
   * @param {number} status the server's, where it refused; else 0
   */
  constructor(reason, status = 0) {
    super(status ? `${reason} with status ${status}` : reason);
    this.name = "UploadFailure";
    this.reason = reason;
    this.status = status;
  }
}

/**
 * Send `body` to `url`, and report how far the server is.
 *
 * A File or Blob travels as it is, from the disk, with a Content-Length: the server never has to
 * look inside. A FormData does for those that want a form.
 *
 * @param {string|URL} url relative to the page
 * @param {Blob|FormData} body
 * @param {object} [options]
 * @param {string} [options.identifier] by default a fresh one
 * @param {string} [options.method] one that the server tracks
 * @param {string|URL} [options.show] where the server tells the progress
 * @param {AbortSignal} [options.signal] cancels the upload
 * @param {(snapshot: Snapshot) => void} [options.report] is called with each answer
 * @returns {Promise<Response>} the server's response, whose status is a success
 * @throws {UploadFailure}
 */
export async function upload(
  url,
  body,
  { identifier = freshIdentifier(), method = "POST", show, signal, report = () => {} } = {},
) {
  const refusal = new AbortController();
  const ended = new AbortController();
  follow(identifier, { show, signal: ended.signal }, report, refusal);
  try {
    const response = await fetch(withIdentifier(url, identifier), {
      method,
      body,
      signal: signal ? AbortSignal.any([signal, refusal.signal]) : refusal.signal,
    });
    if (!response.ok) throw new UploadFailure("refused", response.status);
    return response;
  } catch (error) {
    throw error instanceof UploadFailure
      ? error
      : await explain(identifier, { show, signal }, body);
  } finally {
    ended.abort();
  }
}

/** Report each Snapshot; a refusal ends the request, which a browser would send to its end. */
async function follow(identifier, options, report, refusal) {
  for await (const snapshot of watch(identifier, options)) {
    report(snapshot);
    if (snapshot.status) refusal.abort(new UploadFailure("refused", snapshot.status));
  }
}

/** Return the failure behind a request that ended without a response. */
async function explain(identifier, { show, signal }, body) {
  if (signal?.aborted) return new UploadFailure("cancelled");
  if (body instanceof Blob && !(await isReadable(body))) return new UploadFailure("unreadable");
  // A browser drops a response that came before it had sent everything; the server remembers it.
  const { status } = await ask(identifier, { show, signal });
  return status ? new UploadFailure("refused", status) : new UploadFailure("lost");
}

async function isReadable(blob) {
  try {
    await blob.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** How fast a transfer is of late, and how long it still takes. */
export class Estimate {
  /** Seconds over which the rate is smoothed: old ones count for less and less. */
  static MEMORY = 3;

  /** Bytes a second; null while there is too little to tell. */
  rate = null;
  #received = 0;
  #time = null;

  /** Take note of how many bytes there are, now, in milliseconds. */
  note(received, now = performance.now()) {
    const seconds = (now - this.#time) / 1000;
    if (this.#time !== null && received >= this.#received && seconds > 0) {
      const latest = (received - this.#received) / seconds;
      const weight = 1 - Math.exp(-seconds / Estimate.MEMORY);
      this.rate = this.rate === null ? latest : this.rate + weight * (latest - this.rate);
    } else {
      this.rate = null;
    }
    this.#received = received;
    this.#time = now;
  }

  /** Return the seconds until there are `size` bytes; null where nobody can tell. */
  secondsTo(size) {
    return size !== null && this.rate > 0 ? (size - this.#received) / this.rate : null;
  }
}
