/**
 * `upload`, `watch` and `cancel`, for people who write their own page:
 *
 *     import { upload } from "./progress-upload.js";
 *
 *     const response = await upload("/upload/film.mkv", file, {
 *       report: ({ received, request_size }) => { bar.max = request_size; bar.value = received; },
 *     });
 *
 * @typedef {object} Snapshot what the server says about a transfer
 * @property {"running"|"done"|"error"|"unknown"|"unreachable"} state "unreachable" is a word of this
 *   script: the server did not answer and is asked again
 * @property {number} [received] bytes of the request's body that the server has
 * @property {?number} [request_size] bytes of the whole body; null while nobody knows
 * @property {number} [sent] bytes of the response's body that the client has
 * @property {number} [response_size] bytes of the whole body, or those produced so far
 * @property {number} [status] of an "error": the response's status, 0 where the transfer was cut
 */

import { Channel, ask, freshIdentifier, withIdentifier } from "./progress.js";

export { Estimate, Meter, freshIdentifier } from "./progress.js";

/**
 * Yield a Snapshot of a transfer whenever there is news; where several came, the latest.
 *
 * It ends with "done" or "error", with "unknown" where the transfer was known before, or when
 * `signal` aborts. A transfer that is not known yet is waited for.
 */
export async function* watch(identifier, { show = "/progress", signal } = {}) {
  let latest = null;
  let ended = false;
  let wake = () => {};
  const unsubscribe = Channel.subscribe(identifier, show, (snapshot, over) => {
    latest = snapshot;
    ended = over;
    wake();
  });
  const abort = () => wake();
  signal?.addEventListener("abort", abort);
  try {
    while (!signal?.aborted) {
      const snapshot = latest;
      latest = null;
      if (snapshot) yield snapshot;
      else if (ended) return;
      else await new Promise((resolve) => (wake = resolve));
    }
  } finally {
    unsubscribe();
    signal?.removeEventListener("abort", abort);
  }
}

/** Milliseconds for the answer to a request to cancel. */
const PATIENCE = 10_000;

/**
 * Have the server end a transfer, wherever it runs and whatever is in between.
 *
 * It takes the owner's form of the id ("own~…"), and a server that lets owners cancel: the middlewares'
 * `cancel=`, the gateway's `progress.cancel`.
 *
 * @param {string} identifier
 * @param {object} [options]
 * @param {string|URL} [options.show] where the server tells the progress
 * @returns {Promise<number>} the status of the answer: 204 where the transfer has ended, 202 where it
 *   ends within about a second, 404 where there is none, 405 where nobody may; 0 without an answer
 */
export async function cancel(identifier, { show = "/progress" } = {}) {
  try {
    const { status } = await fetch(withIdentifier(show, identifier), {
      method: "DELETE",
      keepalive: true, // also where the page is left now
      signal: AbortSignal.timeout(PATIENCE),
    });
    return status;
  } catch {
    return 0;
  }
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
 * A File or Blob is sent as it is, from the disk, with a Content-Length, so the server has nothing
 * to take apart. A FormData is sent as a form is.
 *
 * Only the response and the connection end the request, never what the server says about the id:
 * somebody else may have sent something under it.
 *
 * @param {string|URL} url relative to the page
 * @param {Blob|FormData} body
 * @param {object} [options]
 * @param {string} [options.identifier] by default a fresh one
 * @param {string} [options.method] one that the server tracks
 * @param {string|URL} [options.show] where the server tells the progress
 * @param {AbortSignal} [options.signal] cancels the upload
 * @param {(snapshot: Snapshot) => void} [options.report] is called with each snapshot
 * @returns {Promise<Response>} the server's response, whose status is a success
 * @throws {UploadFailure}
 */
export async function upload(
  url,
  body,
  { identifier = freshIdentifier(), method = "POST", show = "/progress", signal, report } = {},
) {
  const unsubscribe = report ? Channel.subscribe(identifier, show, report) : () => {};
  try {
    const response = await fetch(withIdentifier(url, identifier), { method, body, signal });
    if (!response.ok) throw new UploadFailure("refused", response.status);
    return response;
  } catch (error) {
    if (error instanceof UploadFailure) throw error;
    throw await explain(withIdentifier(show, identifier), signal, body);
  } finally {
    unsubscribe();
  }
}

/** Return the failure of a request that ended without a response. */
async function explain(question, signal, body) {
  if (signal?.aborted) return new UploadFailure("cancelled");
  if (body instanceof Blob && !(await isReadable(body))) return new UploadFailure("unreadable");
  // A browser drops a response that came before it had sent everything. The server remembers it.
  const [{ status }] = await ask(question);
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
