"""The log of a command as JSON, an object a line, for programs that collect logs."""

from __future__ import annotations

import json
import logging
from datetime import datetime


class JsonFormatter(logging.Formatter):
    """Formats a record as an object: time (RFC 3339), level, message, pid, and a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, in ASCII."""
        moment = datetime.fromtimestamp(record.created).astimezone()
        noted = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "pid": record.process,
        }
        if record.exc_info:
            noted["traceback"] = self.formatException(record.exc_info)
        return json.dumps(noted)
