/**
 * What this browser saved on the server, which survives a reload.
 *
 * The server has no list for everybody who reaches the page: it would show strangers' files.
 */

const KEY = "mod_progress.saved";

/** The oldest are forgotten. */
const MOST = 200;

/** Return `[{name, size, url}]`, the latest first. */
export function savedFiles() {
  try {
    const files = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(files) ? files.filter((file) => typeof file?.url === "string") : [];
  } catch {
    return []; // it is not ours, or the browser keeps nothing
  }
}

/** Remember a file. */
export function remember(file) {
  write([file, ...savedFiles().filter(({ url }) => url !== file.url)].slice(0, MOST));
}

/** Forget the file at a URL. */
export function forget(forgotten) {
  write(savedFiles().filter(({ url }) => url !== forgotten));
}

/** Return whether the server still has the file: true too where it does not answer. */
export async function isThere({ url }) {
  try {
    const { status } = await fetch(url, { method: "HEAD" });
    return status !== 404 && status !== 410;
  } catch {
    return true;
  }
}

function write(files) {
  try {
    localStorage.setItem(KEY, JSON.stringify(files));
  } catch {
    // There is no room, or the browser keeps nothing.
  }
}
