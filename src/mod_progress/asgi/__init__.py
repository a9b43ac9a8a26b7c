"""ASGI middleware: ``app = ProgressMiddleware(app)``."""

from __future__ import annotations

from mod_progress.asgi.middleware import ProgressMiddleware

__all__ = ["ProgressMiddleware"]
