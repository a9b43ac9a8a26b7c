import { useEffect, useRef, useState } from "react";
// The server that tracks serves it (script="/progress.js"), so it is not part of the bundle.
import { upload } from "/progress-upload.js";

/** A form that uploads a file to `url`, and shows what the server has of it. */
export function Upload({ url }) {
  const [snapshot, setSnapshot] = useState(null);
  const [outcome, setOutcome] = useState("");
  const sending = useRef(null);

  useEffect(() => () => sending.current?.abort(), []); // whoever leaves the page cancels

  async function send(event) {
    event.preventDefault();
    sending.current = new AbortController();
    setSnapshot({});
    setOutcome("");
    try {
      const form = new FormData(event.target);
      const options = { report: setSnapshot, signal: sending.current.signal };
      const { name, size } = await (await upload(url, form, options)).json();
      setOutcome(`${name} has ${size} bytes.`);
    } catch (failure) {
      setOutcome(`It was not uploaded: ${failure.reason ?? failure}`);
    }
    sending.current = null;
    setSnapshot(null);
  }

  const { received, request_size: size } = snapshot ?? {};
  return (
    <form onSubmit={send}>
      <input type="file" name="file" required />
      <button disabled={snapshot !== null}>Upload</button>
      {snapshot && <progress value={size ? received / size : undefined} />}
      {snapshot && <button type="button" onClick={() => sending.current.abort()}>Cancel</button>}
      <output>{outcome}</output>
    </form>
  );
}
