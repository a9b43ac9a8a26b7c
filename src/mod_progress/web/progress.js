/**
 * Progress bars for HTTP transfers, with the numbers that the server has (docs/browser.md):
 *
 *     <script type="module" src="/progress.js"></script>
 *     <form data-progress method="post" enctype="multipart/form-data">…</form>
 *
 * A snapshot is the server's JSON, or has a state of this script: "cancelled", or "unreachable"
 * while the server does not answer. Times are in milliseconds.
 */

/** Between two questions: while numbers move, while the page is hidden, and at most. */
const PACE = 250;
const HIDDEN_PACE = 2000;
const LONGEST_PACE = 4000;

/** For an answer, and for one to a long poll, which waits 20 seconds for news. */
const PATIENCE = 10_000;
const LONG_PATIENCE = 30_000;

/** Until a stream that a proxy holds back is given up, and until the next one is tried. */
const SILENCE = 5000;
const RETRY_STREAM = 60_000;

/** What a server takes. Any others are polled. */
const IDS_PER_STREAM = 100;

/** Without a new byte, until a transfer is stalled. */
const STALLED = 5000;

/** Until an id is forgotten that a form or link has and the server does not know. */
const FORGOTTEN = 60_000;

/** Return a new id. What `progress-sharing.js` makes of it lets others look, and no more. */
export function freshIdentifier() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `own~${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Return `url` with these ids in its query, and the rest as it was. */
export function withIdentifier(url, ...identifiers) {
  const address = new URL(url, document.baseURI);
  const others = address.search.slice(1).split("&");
  const kept = others.filter((each) => each && !/^x-progress-id=/i.test(each));
  const added = identifiers.map((each) => `X-Progress-ID=${encodeURIComponent(each)}`);
  address.search = [...kept, ...added].join("&");
  return address.href;
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    if (milliseconds < Infinity) setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", resolve);
  });
}

/** Return a snapshot (null: still that of `etag`) and its ETag. `signal` ends a long poll. */
export async function ask(url, signal, etag) {
  const limit = AbortSignal.timeout(signal ? LONG_PATIENCE : PATIENCE);
  const headers = signal ? { Prefer: "wait=20" } : {};
  if (etag) headers["If-None-Match"] = etag;
  try {
    const response = await fetch(url, {
      cache: "no-store",
      headers,
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    });
    if (response.status === 304) return [null, etag];
    if (response.ok) return [await response.json(), response.headers.get("ETag")];
  } catch {
    // No answer, or no JSON.
  }
  return [{ state: "unreachable" }];
}

/**
 * What a page watches at one show URL.
 *
 * An id is polled until a stream of events tells about it. One stream serves all ids, as a browser
 * opens only six connections to a server. A hidden page leaves them to those that people look at.
 */
export class Channel {
  static #channels = new Map();
  /** By address: until when no stream is tried. */
  static #noStreamUntil = new Map();

  static subscribe(identifier, show, listener) {
    const address = new URL(show, document.baseURI).href;
    const channel = Channel.#channels.get(address) ?? new Channel(address);
    return channel.#add(identifier, listener);
  }

  static refresh() {
    for (const channel of Channel.#channels.values()) channel.#refresh();
  }

  #address;
  #watched = new Map();
  #pace = PACE;
  #interrupt = new AbortController();
  #stream = null;
  #streamed = [];
  #live = false;
  #streamSince = 0;

  constructor(address) {
    this.#address = address;
    Channel.#channels.set(address, this);
    queueMicrotask(() => this.#run());
  }

  #add(identifier, listener) {
    let watched = this.#watched.get(identifier);
    if (!watched) {
      watched = { listeners: new Set() };
      this.#watched.set(identifier, watched);
      this.#refresh();
    } else if (watched.last) {
      listener(watched.last, false);
    }
    watched.listeners.add(listener);
    return () => {
      watched.listeners.delete(listener);
      if (!watched.listeners.size) this.#end(identifier, watched);
    };
  }

  #end(identifier, watched) {
    if (this.#watched.get(identifier) !== watched) return;
    this.#watched.delete(identifier);
    this.#streamed = this.#streamed.filter((each) => each !== identifier);
    if (!this.#watched.size) this.#refresh();
  }

  #refresh() {
    this.#pace = PACE;
    if (document.hidden || !this.#watched.size) this.#endStream();
    this.#interrupt.abort();
  }

  async #run() {
    while (this.#watched.size) {
      this.#openStream();
      this.#interrupt = new AbortController();
      const polled = [...this.#watched].filter(([identifier]) => !this.#tells(identifier));
      for (const [identifier, watched] of polled) await this.#poll(identifier, watched);
      const moves = polled.some(([, { last }]) => last?.state === "running");
      this.#pace = moves ? PACE : Math.min(2 * this.#pace, LONGEST_PACE);
      const pause = document.hidden ? HIDDEN_PACE : this.#pace;
      await sleep(polled.length ? pause : Infinity, this.#interrupt.signal);
    }
    Channel.#channels.delete(this.#address);
  }

  async #poll(identifier, watched) {
    // A long poll takes a connection too: only one, and only in place of a stream.
    const long = this.#noStream() && this.#watched.size === 1;
    const signal = long ? this.#interrupt.signal : null;
    const url = withIdentifier(this.#address, identifier);
    const [snapshot, etag] = await ask(url, signal, long && watched.etag);
    // The stream may know something newer by now.
    if (this.#tells(identifier) || signal?.aborted) return;
    watched.etag = etag;
    if (snapshot) this.#tell(identifier, watched, snapshot);
    const silent = performance.now() - this.#streamSince > SILENCE;
    if (silent && snapshot?.state === "running" && this.#streamed.includes(identifier)) {
      this.#endStream(RETRY_STREAM);
    }
  }

  #tells(identifier) {
    return this.#live && this.#streamed.includes(identifier);
  }

  #noStream() {
    return !document.hidden && performance.now() < Channel.#noStreamUntil.get(this.#address);
  }

  /** Open a stream where none has all ids. What ends within its first PACE needs none. */
  #openStream() {
    const told = [...this.#watched].filter(([, { last }]) => last && last.state !== "unreachable");
    const identifiers = told.map(([identifier]) => identifier).slice(0, IDS_PER_STREAM);
    if (document.hidden || this.#noStream()) return;
    if (identifiers.every((each) => this.#streamed.includes(each))) return;
    this.#endStream();
    this.#streamed = identifiers;
    const url = withIdentifier(this.#address, ...identifiers);
    const stream = new EventSource(`${url}&format=events`);
    this.#stream = stream;
    let proven = false;
    stream.onmessage = ({ data }) => {
      const { id = identifiers[0], ...snapshot } = JSON.parse(data);
      const watched = this.#watched.get(id);
      this.#live = proven = true;
      if (watched) this.#tell(id, watched, snapshot);
    };
    // One that comes back tells what has changed, which may be nothing.
    stream.onopen = () => (this.#live = proven);
    stream.onerror = () => {
      // A server that answers polls and refuses a stream, as one of few threads, does so each time.
      const pause = proven ? RETRY_STREAM : Infinity;
      if (stream.readyState === EventSource.CLOSED) this.#endStream(this.#streamed.length && pause);
      else this.#distrust();
    };
  }

  #endStream(pause) {
    this.#stream?.close();
    this.#streamed = [];
    if (pause) Channel.#noStreamUntil.set(this.#address, performance.now() + pause);
    this.#distrust();
  }

  /** Poll, until a stream tells something. */
  #distrust() {
    this.#live = false;
    this.#streamSince = performance.now();
    this.#interrupt.abort();
  }

  #tell(identifier, watched, snapshot) {
    const { state } = snapshot;
    const over = state === "done" || state === "error" || (state === "unknown" && watched.seen);
    watched.seen ||= state === "running";
    watched.last = snapshot;
    if (over) this.#end(identifier, watched);
    for (const listener of [...watched.listeners]) listener(snapshot, over);
  }
}

/** Seconds after which a rate counts half. */
const HALF_LIFE = 2;

/** How fast a transfer is of late, and how long it still takes. */
export class Estimate {
  /** Bytes a second; null at first. */
  rate = null;
  #average = 0;
  #smooth = 0;
  #elapsed = 0;
  #bytes = 0;
  #time = null;

  /** Take note of how many bytes there are at a time in milliseconds. */
  note(bytes, now = performance.now()) {
    const seconds = (now - this.#time) / 1000;
    if (this.#time !== null && seconds > 0) {
      const kept = 0.5 ** (seconds / HALF_LIFE);
      this.#elapsed += seconds;
      // Both averages begin at 0, so they have only this share of their weight.
      const share = 1 - 0.5 ** (this.#elapsed / HALF_LIFE);
      this.#average = kept * this.#average + (1 - kept) * ((bytes - this.#bytes) / seconds);
      this.#smooth = kept * this.#smooth + (1 - kept) * (this.#average / share);
      this.rate = this.#smooth / share;
    }
    this.#bytes = bytes;
    this.#time = now;
  }

  /** Return the seconds from a time until there are `size` bytes; null where nobody can tell. */
  secondsTo(size, now = performance.now()) {
    if (size === null || !(this.rate > 0)) return null;
    return Math.max(0, (size - this.#bytes) / this.rate - (now - this.#time) / 1000);
  }
}

/** What people see of a transfer: made of its snapshots and of the time that passes. */
export class Meter {
  state = "waiting";
  /** The last one that told something. */
  snapshot = { state: "unknown" };
  /** Bytes that are there, and all of them; null while nobody knows. */
  amount = 0;
  total = 0;
  value = 0;
  /** Bytes a second, and seconds left; or null. */
  rate = null;
  secondsLeft = null;
  #estimate = new Estimate();
  #phase = "waiting";
  #began = null;
  #moved = 0;
  #unreachableSince = null;
  #responseSize = 0;
  #grows = false;

  get over() {
    return this.#phase === "done" || this.#phase === "failed";
  }

  update(snapshot, now = performance.now()) {
    const { state } = snapshot;
    this.#unreachableSince = state === "unreachable" ? (this.#unreachableSince ?? now) : null;
    if (state !== "unreachable") this.snapshot = snapshot;
    if (state === "running" || state === "done") this.#count(snapshot, now);
    if (state === "done") this.#phase = state;
    const forgotten = state === "unknown" && this.#phase !== "waiting";
    if (forgotten || state === "error" || state === "cancelled") this.#phase = "failed";
    this.tick(now);
  }

  #count({ received, sent, request_size, response_size }, now) {
    const download = request_size === 0;
    const amount = download ? sent : received;
    // Without a Content-Length, response_size is what was produced so far.
    this.#grows ||= this.#responseSize > 0 && response_size !== this.#responseSize;
    this.#responseSize = response_size;
    this.total = download ? (this.#grows ? null : response_size) : request_size;
    const atWork = download ? amount === 0 : amount === this.total;
    const phase = atWork ? "processing" : download ? "downloading" : "uploading";
    if (amount !== this.amount || phase !== this.#phase) this.#moved = now;
    this.#phase = phase;
    this.#began ??= now;
    this.amount = amount;
    this.#estimate.note(amount, now);
  }

  /** See what the time changes. */
  tick(now = performance.now()) {
    const moving = this.#phase.endsWith("loading");
    const since = moving ? this.#moved : this.#unreachableSince;
    const known = this.#phase !== "waiting" && !this.over;
    const stalled = known && since !== null && now - since >= STALLED;
    this.state = stalled ? "stalled" : this.#phase;
    const { rate } = this.#estimate;
    this.rate = rate > 0 && moving && !stalled && now - this.#began >= 1000 ? rate : null;
    this.secondsLeft = this.rate && this.#estimate.secondsTo(this.total, now);
    if (known) this.value = this.total ? Math.min(1, this.amount / this.total) : null;
    if (this.#phase === "done") this.value = 1;
  }
}

/** `progress-languages.js` has other languages. */
const DICTIONARIES = {
  en: {
    name: "Transfer",
    waiting: "Waiting",
    uploading: "Uploading",
    downloading: "Downloading",
    processing: "Processing",
    done: "Done",
    failed: "Failed",
    stalled: "Stalled",
    cancelled: "Cancelled",
    of: "{0} of {1}",
    left: "{0} left",
    refused: "The server refused it (status {0})",
    cut: "The transfer was cut off",
    over: "It ended; how is no longer known",
  },
};

async function loadWords(language) {
  if (DICTIONARIES[language.split("-")[0]]) return;
  const module = await import("./progress-languages.js").catch(() => ({}));
  Object.assign(DICTIONARIES, module.default);
}

function number(value, language, options) {
  return new Intl.NumberFormat(language, options).format(value);
}

const UNITS = ["", "kilo", "mega", "giga", "tera"].map((prefix) => `${prefix}byte`);

/** Return "12.4 MB", or with "second" for `per` "12.4 MB/s", as `language` writes it. */
export function size(bytes, language = "en", per = "") {
  let amount = bytes;
  let step = 0;
  // From 999.5 on it would be rounded to 1000.
  while (amount >= 999.5 && step < UNITS.length - 1) {
    amount /= 1000;
    step += 1;
  }
  const digits = step < 2 ? 0 : 1;
  return number(amount, language, {
    style: "unit",
    unit: per ? `${UNITS[step]}-per-${per}` : UNITS[step],
    unitDisplay: step ? "short" : "long",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** Return "4 min 20 sec", as `language` writes it; at least one second. */
export function duration(seconds, language = "en") {
  const whole = Math.max(1, Math.round(seconds));
  const rest = whole < 600 ? whole % 60 : 0;
  const parts = { hour: whole / 3600, minute: (whole / 60) % 60, second: rest };
  const texts = Object.entries(parts)
    .filter(([, amount]) => amount >= 1)
    .map(([unit, amount]) => number(Math.floor(amount), language, { style: "unit", unit }));
  return new Intl.ListFormat(language, { type: "unit", style: "narrow" }).format(texts);
}

const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
  :host {
    display: block;
    position: relative;
    --_fill: var(--progress-color, light-dark(#2a5bd7, #8cb0ff));
    --_track: var(--progress-track-color, light-dark(#e6e8ed, #31353e));
  }
  :host([hidden]) { display: none; }
  :host([state=failed]) { --_fill: var(--progress-failed-color, light-dark(#b3261e, #ff9d94)); }
  [part=head] { display: flex; justify-content: space-between; gap: 1em; }
  bdi { display: inline-block; overflow-wrap: anywhere; }
  [part=status], [part=detail] { display: block; font-variant-numeric: tabular-nums; }
  [part=detail] { font-size: smaller; min-block-size: 1lh; overflow-wrap: anywhere; }
  progress {
    appearance: none;
    display: block;
    inline-size: 100%;
    block-size: var(--progress-height, 0.5em);
    margin-block: 0.25em;
    border: 0;
    border-radius: var(--progress-radius, 1em);
    background: var(--_track);
    overflow: hidden;
  }
  ::-webkit-progress-bar { background: var(--_track); }
  ::-webkit-progress-value { background: var(--_fill); }
  ::-moz-progress-bar { background: var(--_fill); }
  :indeterminate { --_track: linear-gradient(90deg, #0000, var(--_fill), #0000); }
  [role=status] { position: absolute; inline-size: 1px; overflow: hidden; clip-path: inset(50%); }
  @media (prefers-reduced-motion: no-preference) {
    ::-webkit-progress-value { transition: inline-size 0.25s linear; }
    :host([state=processing]) progress, :indeterminate { animation: breathe 1.6s infinite; }
    @keyframes breathe { 50% { opacity: 0.45; } }
  }
  @media (forced-colors: active) {
    progress { border: 1px solid; forced-color-adjust: none; --_fill: Highlight; --_track: Canvas; }
  }
`);

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** The bar of a transfer. docs/browser.md has its attributes, events, slots and parts. */
export class TransferProgress extends HTMLElement {
  static observedAttributes = ["for-id", "show", "label"];

  #meter = new Meter();
  #spoken = 0;
  #timer = null;
  #unsubscribe = () => {};
  #label = element("bdi", { part: "label" });
  #status = element("slot", { name: "status", part: "status" });
  #bar = element("progress", { part: "bar" });
  #detail = element("slot", { name: "detail", part: "detail" });
  #news = element("span", { role: "status" });

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [STYLE];
    const head = element("div", { part: "head" }, this.#label, this.#status);
    root.append(head, this.#bar, this.#detail, this.#news);
  }

  connectedCallback() {
    loadWords(this.#language).then(() => this.#draw());
    this.#follow();
  }

  disconnectedCallback() {
    this.#unsubscribe();
    clearInterval(this.#timer);
  }

  attributeChangedCallback(name, before, after) {
    if (name !== "label" && before !== after) {
      this.#meter = new Meter();
      this.#spoken = 0;
      this.#follow();
    }
    this.#draw();
  }

  get #language() {
    const language = this.closest("[lang]")?.lang || navigator.language;
    try {
      return Intl.getCanonicalLocales(language)[0];
    } catch {
      return "en";
    }
  }

  #follow() {
    this.#unsubscribe();
    const identifier = this.getAttribute("for-id");
    if (!this.isConnected || !identifier || this.#meter.over) return;
    const show = this.getAttribute("show") || "/progress";
    this.#unsubscribe = Channel.subscribe(identifier, show, (snapshot) => this.update(snapshot));
  }

  /** Show a snapshot. With `for-id` it gets them by itself. */
  update(snapshot) {
    const meter = this.#meter;
    if (meter.over) return;
    meter.update(snapshot);
    this.#draw();
    clearInterval(this.#timer);
    if (meter.state === "waiting") return;
    // The time changes something too.
    if (!meter.over && this.isConnected) this.#timer = setInterval(() => this.#draw(), 1000);
    this.#speak();
    for (const type of meter.over ? ["progress", meter.state] : ["progress"]) {
      this.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, detail: meter }));
    }
  }

  #draw() {
    const meter = this.#meter;
    meter.tick();
    const [headline, details] = [this.#headline(), this.#details()];
    this.#label.textContent = this.getAttribute("label");
    this.#status.textContent = headline;
    // Each in its own direction, whatever the words around it are.
    const parts = details.flatMap((each) => [" · ", element("bdi", {}, each)]);
    this.#detail.replaceChildren(...parts.slice(1));
    this.#bar.setAttribute("aria-label", this.#name());
    this.#bar.setAttribute("aria-valuetext", [headline, ...details].join(", "));
    this.setAttribute("state", meter.state);
    for (const each of [this, this.#bar]) {
      if (meter.value === null) each.removeAttribute("value");
      else each.setAttribute("value", meter.value);
    }
  }

  #word(key, ...values) {
    const words = DICTIONARIES[this.#language.split("-")[0]] ?? DICTIONARIES.en;
    return words[key].replace(/\{(\d)\}/g, (_, index) => values[index]);
  }

  #name() {
    return this.getAttribute("label") || this.#word("name");
  }

  #headline() {
    const { state, value, snapshot, amount, total } = this.#meter;
    if (snapshot.state === "cancelled") return this.#word("cancelled");
    if (value === null || !state.endsWith("loading")) return this.#word(state);
    // Rounded down, as 100% is for what is all there.
    const percent = Math.floor((100 * amount) / total);
    return number(percent / 100, this.#language, { style: "percent" });
  }

  #details() {
    const { state, snapshot, amount, total, rate, secondsLeft } = this.#meter;
    const language = this.#language;
    if (state === "failed") {
      if (snapshot.state === "cancelled") return [];
      if (snapshot.state === "unknown") return [this.#word("over")];
      return [snapshot.status ? this.#word("refused", snapshot.status) : this.#word("cut")];
    }
    if (state === "waiting") return [];
    const texts = [size(amount, language)];
    if (amount < total) texts[0] = this.#word("of", texts[0], size(total, language));
    if (rate) texts.push(size(rate, language, "second"));
    if (secondsLeft !== null) texts.push(this.#word("left", duration(secondsLeft, language)));
    return texts;
  }

  /** Each quarter, and the end. */
  #speak() {
    const { state, over, value } = this.#meter;
    const step = over ? 4 : Math.min(3, Math.floor(4 * value));
    if (step <= this.#spoken || this.hasAttribute("quiet")) return;
    this.#spoken = step;
    const details = state === "failed" ? this.#details() : [];
    this.#news.textContent = `${this.#name()}: ${[this.#headline(), ...details].join(". ")}`;
  }
}

/** In a form, or behind another element. */
function barOf(owner) {
  const form = owner.localName === "form";
  const found = form ? owner.querySelector("transfer-progress") : owner.nextElementSibling;
  if (found?.localName === "transfer-progress") return found;
  // Turbo leaves it out of the copies of pages that it keeps.
  const made = element("transfer-progress", { "data-turbo-temporary": "" });
  if (form) owner.append(made);
  else owner.after(made);
  return made;
}

function filesOf(owner) {
  const input = owner.querySelector("input[type=file]") ?? owner;
  const [first, ...others] = [...(input.files ?? [])].map(({ name }) => name);
  return others.length ? `${first} +${others.length}` : first ?? "";
}

/** Return a new id for what `owner` sends. Its bar appears once the server knows it. */
export function begin(owner, label = filesOf(owner)) {
  const identifier = freshIdentifier();
  const bar = barOf(owner);
  bar.hidden = true;
  bar.addEventListener("progress", () => (bar.hidden = false), { once: true });
  bar.setAttribute("label", owner.dataset.progressLabel ?? label);
  if (owner.dataset.progress) bar.setAttribute("show", owner.dataset.progress);
  bar.setAttribute("for-id", identifier);
  setTimeout(() => {
    if (bar.getAttribute("for-id") === identifier && bar.hidden) bar.removeAttribute("for-id");
  }, FORGOTTEN);
  return identifier;
}

/** A form is sent, by the browser or by a library that reads its action. */
function submitted({ target: form, submitter }) {
  const method = submitter?.getAttribute("formmethod") ?? form.getAttribute("method");
  if (!form.matches("[data-progress]") || method?.toLowerCase() !== "post") return;
  const attribute = submitter?.hasAttribute("formaction") ? "formaction" : "action";
  const holder = attribute === "action" ? form : submitter;
  const action = holder.getAttribute(attribute) || location.href;
  holder.setAttribute(attribute, withIdentifier(action, begin(form)));
}

/** A link carries the id just while it is followed. */
function clicked({ target }) {
  const link = target.closest?.("a[data-progress][href]");
  if (!link) return;
  const href = link.getAttribute("href");
  link.setAttribute("href", withIdentifier(href, begin(link, link.textContent.trim())));
  setTimeout(() => link.setAttribute("href", href));
}

document.addEventListener("visibilitychange", Channel.refresh);
addEventListener("pageshow", Channel.refresh);

// Only the first copy of this script in a page does it.
if (!customElements.get("transfer-progress")) {
  customElements.define("transfer-progress", TransferProgress);
  // Before all other listeners, which may read where a form or a link goes.
  addEventListener("submit", submitted, true);
  addEventListener("click", clicked, true);
}
