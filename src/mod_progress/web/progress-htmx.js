/**
 * Bars for requests that htmx sends. A page needs this script beside htmx, and `data-progress` on the
 * element that has `hx-post`:
 *
 *     <script type="module" src="/progress-htmx.js"></script>
 *     <form data-progress hx-post="/upload" hx-encoding="multipart/form-data">…</form>
 */

import { begin, withIdentifier } from "./progress.js";

/** The event of htmx 2 has the request in `detail`, that of htmx 4 in `detail.ctx.request`. */
function configured({ target, detail }) {
  const request = detail.ctx?.request ?? detail;
  const sends = !/^(get|delete)$/i.test(request.method ?? request.verb);
  const owner = target.closest("[data-progress]");
  // A button sends its form. Another field in the form sends something of its own.
  if (!owner || !sends || (owner !== target && !target.matches("button"))) return;
  const key = detail.ctx ? "action" : "path";
  request[key] = withIdentifier(request[key], begin(owner));
}

document.addEventListener("htmx:configRequest", configured);
document.addEventListener("htmx:config:request", configured);
