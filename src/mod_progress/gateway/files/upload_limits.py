"""What uploads may take up in a directory."""

from __future__ import annotations

from typing import NamedTuple


class UploadLimits(NamedTuple):
    """The bounds of what one request may save.

    The defaults are Django's (DATA_UPLOAD_MAX_NUMBER_FILES, DATA_UPLOAD_MAX_NUMBER_FIELDS).
    """

    #: Files in a form; each is an open descriptor until all of the form has come (413).
    form_files: int = 100
    #: Parts of a form: files and other fields (413).
    form_parts: int = 1000


DEFAULT_LIMITS = UploadLimits()
