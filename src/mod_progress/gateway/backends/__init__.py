"""Backends: servers that answer in the gateway's place."""
