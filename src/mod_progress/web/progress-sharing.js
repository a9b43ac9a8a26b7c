/**
 * Ids to share: who has one may look at the transfer, but neither send under it nor end it.
 *
 *     import { sharedIdentifier } from "./progress-sharing.js";
 *
 *     const link = `/watch#${await sharedIdentifier(identifier)}`;
 */

/** What an id starts with that is its owner's, and what one starts with that is shared. */
const OWN = "own~";
const SHARED = "see~";

/**
 * Return the form of an id that may be shared: of "own~SECRET" the one-way image under which the
 * server knows it: "see~" and the SHA-256 of SECRET in hexadecimal digits. Any other id has no image
 * and is returned as it is.
 */
export async function sharedIdentifier(identifier) {
  if (!identifier.startsWith(OWN)) return identifier;
  const bytes = new TextEncoder().encode(identifier.slice(OWN.length));
  const digest = crypto.subtle
    ? new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))
    : (await import("./progress-sha256.js")).sha256(bytes); // by plain http a browser has none
  return SHARED + Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
