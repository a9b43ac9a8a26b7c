"""Files: served, and saved."""
