/** Why an upload failed, in words for people. */

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
  502: "the server behind this one does not work",
  503: "the server has too much to do",
  504: "the server behind this one did not answer",
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
