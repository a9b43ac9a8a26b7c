/** Asks the server for all transfers, page by page, where it does not push them. */

const FIRST_PAGE = "dump?sort=state&limit=1000";

/** The most transfers that are loaded: running ones first, then failed ones. */
export const MOST_ROWS = 5000;

/** Milliseconds for one page. A server gives up to list its entries after 10 s. */
const PATIENCE = 15_000;

/** Milliseconds by which two clocks may differ: a Date header has whole seconds. */
const SAME_TIME = 2000;

/** Why there is no answer, in words for people. */
export class SourceError extends Error {}

export class Source {
  /** What came last from each address, for the pages that have not changed since. */
  #kept = new Map();

  /**
   * Return `{entries, states, total, cancels, now}`: the transfers as the server describes them, how
   * many it has of each state and in all, whether they may be cancelled, and its time in milliseconds.
   */
  async load() {
    const kept = new Map();
    const entries = [];
    let address = new URL(FIRST_PAGE, document.baseURI).href;
    let first = null;
    while (address && entries.length < MOST_ROWS) {
      const page = await ask(address, this.#kept.get(address));
      kept.set(address, page);
      first ??= page;
      // One by one: so many arguments of a call would be too many.
      for (const entry of page.entries) entries.push(entry);
      address = page.next;
    }
    this.#kept = kept;
    const { states, total, cancels, now } = first;
    return { entries, states, total, cancels, now };
  }
}

async function ask(address, known) {
  const response = await answer(address, known);
  const now = serverTime(response);
  if (response.status === 304) return { ...known, now };
  if (!response.ok) throw new SourceError(await reason(response));
  const { headers } = response;
  const entries = await response.json().catch(() => {
    throw new SourceError("The server's list ended in the middle");
  });
  const next = /<([^>]*)>; *rel="next"/.exec(headers.get("Link"))?.[1];
  return {
    entries,
    etag: headers.get("ETag"),
    next: next ? new URL(next, address).href : null,
    states: statesOf(headers.get("X-Progress-States") ?? ""),
    total: Number(headers.get("X-Progress-Total")),
    cancels: /\bDELETE\b/.test(headers.get("Allow")),
    now,
  };
}

async function answer(address, known) {
  try {
    return await fetch(address, {
      cache: "no-store",
      headers: known ? { "If-None-Match": known.etag } : {},
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch {
    throw new SourceError("The server does not answer");
  }
}

async function reason(response) {
  if (response.status === 401 || response.status === 403) {
    return `You may not see the transfers (${response.status})`;
  }
  const said = await response.json().catch(() => ({}));
  return said.error ?? `The server has no list of transfers here (${response.status})`;
}

/** Read "running=1, done=2". */
function statesOf(text) {
  const pairs = text.matchAll(/(\w+)=(\d+)/g);
  return Object.fromEntries(Array.from(pairs, ([, state, count]) => [state, Number(count)]));
}

/** The browser's time, unless the server's differs from it. */
function serverTime(response) {
  return Date.now() + timeOffset(Date.parse(response.headers.get("Date")));
}

/** Return the milliseconds by which the server's time is ahead, if it says this one now. */
export function timeOffset(said) {
  const offset = said - Date.now();
  return Math.abs(offset) > SAME_TIME ? offset : 0;
}
