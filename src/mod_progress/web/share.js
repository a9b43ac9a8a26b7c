/** Links at which others see the bar of a transfer, without being able to touch the transfer. */

import { ask, withIdentifier } from "./progress.js";
import { sharedIdentifier } from "./progress-sharing.js";

/** Milliseconds between two looks whether a transfer that was cut is tried again. */
const PACE = 4000;

/** Return the address at which anybody sees the bar of a transfer. */
async function linkTo(identifier, name) {
  const address = new URL(location);
  // The fragment stays out of logs and referrers: the id is a secret of those who share it.
  address.hash = new URLSearchParams({ id: await sharedIdentifier(identifier), name });
  return address.href;
}

/** Copy the link to a transfer's bar; return what to say about it. */
export async function copyLink(identifier, name) {
  const link = await linkTo(identifier, name);
  try {
    await navigator.clipboard.writeText(link);
    return "Link copied.";
  } catch {
    // There is no clipboard without https, or without permission.
    prompt("The link to this bar:", link);
    return "";
  }
}

/** Show the bar of the transfer that the address names, if it names one, in the row `rowOf(name)`. */
export function watchShared(show, rowOf) {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const identifier = parameters.get("id");
  if (!identifier) return;
  const row = rowOf(parameters.get("name") || identifier);
  row.offer({});
  row.watch(identifier);
  row.bar.addEventListener("failed", async ({ detail }) => {
    if (detail.snapshot.status) return;
    // It was cut. Its page may try it again, under the same id.
    await runsAgain(withIdentifier(show, identifier));
    row.watch(null);
    row.watch(identifier);
  });
}

async function runsAgain(question) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, PACE));
    const [{ state }] = await ask(question);
    if (state === "running" || state === "done") return;
  }
}
