/** Cancels a transfer, once people have confirmed it, and says what came of it. */

/** Milliseconds for the answer, and for which it is shown what came of it. */
const PATIENCE = 15_000;
const SHOWN = 15_000;

const OUTCOMES = {
  202: "It is being cancelled, which takes about a second",
  204: "It is cancelled, or had just ended",
  401: "You may not cancel it (401)",
  403: "You may not cancel it (403)",
  404: "It is not there any more",
};

/** Whether a transfer can be cancelled. What a list does not know the start of cannot be named. */
export function isCancellable({ running, entry }) {
  return running && entry.started !== null;
}

export class Cancel {
  #dialog;
  #outcome;
  #transfer = null;
  #timer = null;

  /** Ask in `dialog`; say what came of it in the element `outcome`. */
  constructor(dialog, outcome) {
    this.#dialog = dialog;
    this.#outcome = outcome;
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "cancel") this.#send(this.#transfer.entry);
    });
  }

  /** Ask whether to cancel a transfer. */
  ask(transfer) {
    this.#transfer = transfer;
    this.#dialog.querySelector("#cancelled").textContent = name(transfer.entry);
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
  }

  async #send(entry) {
    this.#say(`${name(entry)}: It is asked …`);
    const { id, started } = entry;
    const address = new URL(`dump?${new URLSearchParams({ id, started })}`, document.baseURI);
    this.#say(`${name(entry)}: ${await end(address)}.`);
  }

  #say(text) {
    clearTimeout(this.#timer);
    this.#outcome.textContent = text;
    this.#timer = setTimeout(() => (this.#outcome.textContent = ""), SHOWN);
  }
}

function name({ method, path, peer }) {
  return peer ? `${method} ${path} of ${peer}` : `${method} ${path}`;
}

/** Return what came of it, in words for people. */
async function end(address) {
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch(address, { method: "DELETE", signal });
    const known = OUTCOMES[response.status];
    if (known) return known;
    const said = await response.json().catch(() => ({}));
    return `It is not cancelled: ${said.error ?? response.status}`;
  } catch {
    return "The server does not answer; try again";
  }
}
