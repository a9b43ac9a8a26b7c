"""The syntax of HTTP/1.1: no I/O."""
