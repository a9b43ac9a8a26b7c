"""What uploads may take up in a directory."""

from __future__ import annotations

from typing import NamedTuple


class UploadLimits(NamedTuple):
    """The bounds of what one request may save, and of what all of them may in a directory.

    The defaults for forms are Django's (DATA_UPLOAD_MAX_NUMBER_FILES,
    DATA_UPLOAD_MAX_NUMBER_FIELDS). Sizes are in bytes; those that are 0 are not bounded.
    """

    #: Files in a form; each is an open descriptor until all of the form has come (413).
    form_files: int = 100
    #: Parts of a form: files and other fields (413).
    form_parts: int = 1000
    #: One file (413).
    file_size: int = 0
    #: All files in the directory and below it, their number and their sizes together (507).
    total_files: int = 0
    total_size: int = 0
    #: What stays free on the file system of the directory (507).
    free_space: int = 0

    @property
    def needs_count(self) -> bool:
        """Whether somebody has to know what is in the directory."""
        return bool(self.total_files or self.total_size)


DEFAULT_LIMITS = UploadLimits()

#: The bounds that may be 0, which means that there is none.
UNBOUNDED = frozenset({"file_size", "total_files", "total_size", "free_space"})
