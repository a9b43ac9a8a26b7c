"""Sockets, and the bodies that move between them."""
