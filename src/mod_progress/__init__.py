"""Tracks how far an HTTP transfer is, under an id that the client chose, and answers who asks."""

__all__ = ["__version__"]

__version__ = "0.1.0"
