"""Transfers in a terminal: watch them, and send files with a bar of what the server has."""
