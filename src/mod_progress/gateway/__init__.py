"""The gateway: mod_progress in front of any backend."""
