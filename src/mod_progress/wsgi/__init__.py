"""WSGI middleware: ``application = ProgressMiddleware(application)``."""

from __future__ import annotations

from mod_progress.wsgi.middleware import ProgressMiddleware

__all__ = ["ProgressMiddleware"]
