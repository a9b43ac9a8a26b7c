"""Why a request failed, in words."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

import httpx


def describe(error: Exception) -> str:
    """Return in a few words why there is no answer to a request."""
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "it does not answer"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS comes back: {(cause.reason or 'unknown').replace('_', ' ').lower()}"
        if isinstance(cause, OSError) and cause.errno:
            # Names that are not found have numbers of their own, which are negative.
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    if isinstance(error, httpx.RemoteProtocolError):
        return f"no HTTP comes back: {error}"
    return str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions that led to this one, the first cause first."""
    within = error.exceptions[:1] if isinstance(error, BaseExceptionGroup) else ()
    for cause in (*within, error.__cause__ or error.__context__):
        if cause is not None:
            yield from _causes(cause)
    yield error


def status_line(response: httpx.Response) -> str:
    """Return the status and the reason of a response, and where a redirect leads to."""
    said = f"{response.status_code} {response.reason_phrase}".rstrip()
    location = response.headers.get("Location") if response.is_redirect else None
    return f"{said}, to {location}" if location else said
