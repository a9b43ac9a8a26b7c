/** Saves transfers as a file that is made in the page. */

/** Return the entries as JSON, as the server describes them. */
export function toJson(entries) {
  return `${JSON.stringify(entries, null, 2)}\n`;
}

/** Return the entries as CSV (RFC 4180), with a line of names. */
export function toCsv(entries) {
  const names = Object.keys(entries[0] ?? {});
  const lines = entries.map((entry) => names.map((name) => cell(entry[name])));
  return [names, ...lines].map((cells) => `${cells.join(",")}\r\n`).join("");
}

/** A text that begins like a formula gets a quote in front: a path is chosen by strangers. */
function cell(value) {
  const text = String(value ?? "").replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Let the browser save a text under a name. */
export function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
