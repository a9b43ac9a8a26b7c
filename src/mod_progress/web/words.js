/** Numbers and failures in words, for people. */

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** Return "812 kB", "12.4 MB"; with "second" for `per`, "12.4 MB/s". */
export function size(bytes, per = "") {
  let amount = bytes;
  let step = 0;
  // From 999.5 on it would be rounded to 1000.
  while (amount >= 999.5 && step < UNITS.length - 1) {
    amount /= 1000;
    step += 1;
  }
  const digits = step < 2 ? 0 : 1;
  return new Intl.NumberFormat("en", {
    style: "unit",
    unit: per ? `${UNITS[step]}-per-${per}` : UNITS[step],
    unitDisplay: step ? "short" : "long",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(amount);
}

/** Return "3 s", "4 min 20 s", "1 h 5 min". */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = whole % 60;
  if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes) return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  return `${rest} s`;
}

const STATUSES = {
  400: "the server did not understand it",
  401: "the server wants to know who you are",
  403: "the server does not allow it",
  404: "the server has no place for it",
  405: "the server takes no uploads here",
  408: "the upload stood still for too long",
  409: "the server has a file in its place",
  413: "the file is too large for the server",
  500: "something went wrong on the server",
  502: "what stands behind the server does not work",
  503: "the server has too much to do",
  504: "what stands behind the server did not answer",
  507: "the server's disk is full",
};

/** Return why the server refused, with its status. */
export function refusal(status) {
  const kind = status < 500 ? "the server refused it" : STATUSES[500];
  return `${STATUSES[status] ?? kind} (${status})`;
}

/** Return why an upload failed, from its `UploadFailure`. */
export function failure({ reason, status }) {
  return {
    refused: () => `Refused: ${refusal(status)}.`,
    lost: () => "The connection was lost.",
    cancelled: () => "You cancelled it.",
    unreadable: () => "It cannot be read: it is a folder, or has changed since you chose it.",
  }[reason]();
}
