"""The files of a form as it arrives: multipart/form-data (RFC 7578)."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError

from mod_progress.gateway.files.filenames import parse_filename, safe_name
from mod_progress.gateway.files.new_file import NewFile, Saved
from mod_progress.gateway.files.reservation import Reservation
from mod_progress.gateway.files.unnamed import open_new
from mod_progress.gateway.files.upload_limits import UploadLimits
from mod_progress.gateway.http.heads import Refusal
from mod_progress.gateway.streams.disk import write

#: Spaces and tabs that may stand behind the first boundary.
_MOST_PADDING = 256

_AFTER_BOUNDARY = re.compile(rb"[ \t]*+(\r\n|--)").match

# A malformed form gets its sender a 400. The log of the server need not know of it.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


class Form:
    """Writes the files of a form to ``directory``; other fields are not kept.

    Raises `Refusal` (400) for a boundary that there cannot be.
    """

    def __init__(
        self, directory: str, boundary: bytes, limits: UploadLimits, reservation: Reservation
    ) -> None:
        self._directory = directory
        self._limits = limits
        self._reservation = reservation
        self._opened = ExitStack()
        self._parts = 0
        self._field = self._value = self._disposition = b""
        self._name: str | None = None
        self._file: NewFile | None = None
        self._delimiter = b"\r\n--" + boundary
        # What came before the first delimiter, as far as it is still needed. It begins with the
        # line end of a delimiter, as the form may begin with the rest.
        self._preamble: bytes | None = b"\r\n"
        self._parser = self._make_parser(boundary)
        # The files that are whole, with their names.
        self._files: list[tuple[str, NewFile]] = []
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened.close()

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raises `Refusal` (400, 413, 507), and OSError."""
        if self._preamble is not None:
            data = self._after_preamble(self._preamble + data)
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _malformed(error) from None

    async def publish(self) -> list[Saved]:
        """Publish all files, or none; raises `Refusal` (400) for half a form, and OSError."""
        if not self._finished:
            raise Refusal(400, "the form breaks off, or its boundary never came")
        if not self._files:
            raise Refusal(400, "the form has no file")
        try:
            saved = [await file.publish(name) for name, file in self._files]
            self._reservation.keep()
            return saved
        except BaseException:
            for _, file in self._files:
                file.withdraw()
            raise

    def _after_preamble(self, data: bytes) -> bytes:
        """Return what is to be parsed: from the first delimiter on (RFC 2046, section 5.1.1).

        The parser takes no text before the first delimiter, and no padding behind it.
        """
        size, at = len(self._delimiter), data.find(self._delimiter)
        while at >= 0:
            match = _AFTER_BOUNDARY(data, at + size)
            if match is not None:
                self._preamble = None
                return self._delimiter + data[match.start(1) :]
            at = data.find(self._delimiter, at + size)
        self._preamble = data[-size - _MOST_PADDING :]
        return b""

    def _make_parser(self, boundary: bytes) -> MultipartParser:
        if not boundary:
            raise Refusal(400, "the form has no boundary")
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_field_name,
                    "on_header_value": self._add_field_value,
                    "on_header_end": self._end_field,
                    "on_headers_finished": self._end_fields,
                    "on_part_data": self._add_content,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:  # the boundary is too long
            raise _malformed(error) from None

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > self._limits.form_parts:
            raise Refusal(413, _too_many(self._limits.form_parts, "parts"))
        self._disposition = b""

    def _add_field_name(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_field_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_field(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _end_fields(self) -> None:
        self._name = parse_filename(self._disposition)
        if self._name:
            self._file = self._open()

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        if self._name is None:
            return
        if self._file is None:
            # Without a name, this is what a form sends where no file was chosen; but for its
            # content it is a file.
            self._file = self._open()
        self._reservation.add(end - start)
        write(self._file.file, memoryview(data)[start:end])

    def _end_part(self) -> None:
        if self._file is not None:
            self._files.append((safe_name(self._name or ""), self._file))
        self._file = self._name = None

    def _end(self) -> None:
        self._finished = True

    def _open(self) -> NewFile:
        if len(self._files) >= self._limits.form_files:
            raise Refusal(413, _too_many(self._limits.form_files, "files"))
        self._reservation.add_file()
        return self._opened.enter_context(open_new(self._directory))


def _malformed(error: FormParserError) -> Refusal:
    return Refusal(400, f"the form is malformed: {error}")


def _too_many(most: int, things: str) -> str:
    return f"the form has more than {most} {things}, the most that this server takes in one form"
