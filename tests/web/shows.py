"""A show whose every behaviour a test sets: what servers and proxies of all kinds do."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

#: What happens to a stream: the server sends it; refuses it; something on the way holds it back;
#: or it ends after each event.
Stream = Literal["sent", "refused", "held", "ending"]


class ScriptedShow:
    """Answers for the transfers that a test sets, and keeps what it was asked."""

    def __init__(self, stream: Stream = "sent", tagged: bool = True) -> None:
        self.stream = stream
        #: Whether answers have an ETag, and long polls are waited for.
        self.tagged = tagged
        #: What was asked, in order: "poll", "long poll" or "stream", and the ids.
        self.asked: list[tuple[str, list[str]]] = []
        self._snapshots: dict[str, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._closed = False

    def set(self, identifier: str, state: str, received: int = 0, size: int | None = 100) -> None:
        with self._changed:
            snapshot: dict[str, Any] = {"state": state}
            if state in ("running", "done"):
                snapshot |= {"received": received, "sent": 0}
                snapshot |= {"request_size": size, "response_size": 0}
            elif state == "error":
                snapshot["status"] = 500
            self._snapshots[identifier] = snapshot
            self._changed.notify_all()

    def close(self) -> None:
        """End all streams and long polls."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.asked]

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        identifiers = query["X-Progress-ID"]
        if query.get("format") == ["events"]:
            self.asked.append(("stream", identifiers))
            self._stream(handler, identifiers)
        else:
            self._poll(handler, identifiers[0])

    def _snapshot(self, identifier: str) -> dict[str, Any]:
        return self._snapshots.get(identifier, {"state": "unknown"})

    def _poll(self, handler: BaseHTTPRequestHandler, identifier: str) -> None:
        known = handler.headers["If-None-Match"]
        # As the show does: the first question that would wait is answered at once, with an ETag.
        prefers = handler.headers["Prefer"] == "wait=20"
        long = prefers and known is not None
        self.asked.append(("long poll" if long else "poll", [identifier]))

        def changed() -> bool:
            return self._closed or _tag(self._snapshot(identifier)) != known

        with self._changed:
            if long:
                self._changed.wait_for(changed, 20)
            snapshot = self._snapshot(identifier)
        body = json.dumps(snapshot).encode()
        handler.send_response(304 if _tag(snapshot) == known else 200)
        handler.send_header("Content-Type", "application/json")
        if self.tagged and prefers:
            handler.send_header("ETag", _tag(snapshot))
        if _tag(snapshot) == known:
            body = b""
        else:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _stream(self, handler: BaseHTTPRequestHandler, identifiers: list[str]) -> None:
        handler.close_connection = True
        if self.stream == "refused":
            handler.send_error(406)
            return
        if self.stream == "held":
            with self._changed:
                self._changed.wait_for(lambda: self._closed, 60)
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        try:
            self._send_events(handler, identifiers)
        except OSError:
            return  # the page has left

    def _send_events(self, handler: BaseHTTPRequestHandler, identifiers: list[str]) -> None:
        """Send what the client does not have; its last event says what it has."""
        handler.wfile.write(b"retry: 10\n\n")
        last = handler.headers["Last-Event-ID"]
        while not self._closed:
            with self._changed:
                snapshots = {each: self._snapshot(each) for each in identifiers}
            tag = _tag(snapshots)
            for identifier, snapshot in snapshots.items() if tag != last else ():
                member = {"id": identifier} if len(identifiers) > 1 else {}
                event = f"data: {json.dumps(member | snapshot)}\nid: {tag}\n\n"
                handler.wfile.write(event.encode())
            last = tag
            ended = all(snapshot["state"] in ("done", "error") for snapshot in snapshots.values())
            if ended:
                handler.wfile.write(b"event: end\ndata: {}\n\n")
            if ended or self.stream == "ending":
                return
            time.sleep(0.02)


def _tag(snapshot: dict[str, Any]) -> str:
    return f'"{hashlib.sha256(json.dumps(snapshot).encode()).hexdigest()[:16]}"'
