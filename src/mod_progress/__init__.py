"""Tracks how far an HTTP transfer is, under an id that the client chose, and answers who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["__version__"]

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """Return the installed version: that of the tag it was built from.

        It is looked up when somebody asks, since that takes longer than to import a middleware. A
        copy of the package that was not installed has no version; it is ``unknown``.
        """
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("mod-progress")
        except PackageNotFoundError:
            return "unknown"
